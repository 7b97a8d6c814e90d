// Answers measurements of libsignal-client over standard input and output. A
// request is one line, "row count"; the reply is the CPU time of the whole
// process in microseconds for that many operations, preparation not included.
// Node's share (promises, the bridge to Rust) is in every figure.
import { createInterface } from 'node:readline';
import { webcrypto } from 'node:crypto';
import * as signal from '@signalapp/libsignal-client';

class Sessions extends signal.SessionStore {
  records = new Map();
  async saveSession(name, record) { this.records.set(name.toString(), record); }
  async getSession(name) { return this.records.get(name.toString()) ?? null; }
  async getExistingSessions(names) { return names.map((n) => this.records.get(n.toString())); }
}

class Identities extends signal.IdentityKeyStore {
  keys = new Map();
  own = signal.PrivateKey.generate();
  async getIdentityKey() { return this.own; }
  async getLocalRegistrationId() { return 5; }
  async saveIdentity(name, key) {
    this.keys.set(name.toString(), key);
    return signal.IdentityChange.NewOrUnchanged;
  }
  async isTrustedIdentity() { return true; }
  async getIdentity(name) { return this.keys.get(name.toString()) ?? null; }
}

class PreKeys extends signal.PreKeyStore {
  async savePreKey() {}
  async getPreKey() { throw new Error('no one-time keys here'); }
  async removePreKey() {}
}

class SignedPreKeys extends signal.SignedPreKeyStore {
  records = new Map();
  async saveSignedPreKey(id, record) { this.records.set(id, record); }
  async getSignedPreKey(id) { return this.records.get(id); }
}

class KyberPreKeys extends signal.KyberPreKeyStore {
  records = new Map();
  async saveKyberPreKey(id, record) { this.records.set(id, record); }
  async getKyberPreKey(id) { return this.records.get(id); }
  async markKyberPreKeyUsed() {}
}

class Person {
  constructor(name) {
    this.address = signal.ProtocolAddress.new(name, 1);
    this.sessions = new Sessions();
    this.identities = new Identities();
    this.preKeys = new PreKeys();
    this.signed = new SignedPreKeys();
    this.kyber = new KyberPreKeys();
  }
  async publish() {
    const own = this.identities.own;
    const key = signal.PrivateKey.generate();
    const kem = signal.KEMKeyPair.generate();
    const [keySignature, kemSignature] = [own.sign(key.getPublicKey().serialize()), own.sign(kem.getPublicKey().serialize())];
    await this.signed.saveSignedPreKey(1, signal.SignedPreKeyRecord.new(1, Date.now(), key.getPublicKey(), key, keySignature));
    await this.kyber.saveKyberPreKey(1, signal.KyberPreKeyRecord.new(1, Date.now(), kem, kemSignature));
    this.bundle = signal.PreKeyBundle.new(5, 1, null, null, 1, key.getPublicKey(), keySignature,
      own.getPublicKey(), 1, kem.getPublicKey(), kemSignature);
  }
  start(peer) {
    return signal.processPreKeyBundle(peer.bundle, peer.address, this.address, this.sessions, this.identities);
  }
  async seal(peer, text) {
    return (await signal.signalEncrypt(text, peer.address, this.address, this.sessions, this.identities)).serialize();
  }
  open(peer, wire) {
    return signal.signalDecrypt(signal.SignalMessage.deserialize(wire), peer.address, this.address, this.sessions, this.identities);
  }
  accept(peer, wire) {
    return signal.signalDecryptPreKey(signal.PreKeySignalMessage.deserialize(wire), peer.address, this.address,
      this.sessions, this.identities, this.preKeys, this.signed, this.kyber);
  }
}

const spent = (since) => {
  const used = process.cpuUsage(since);
  return used.user + used.system;
};

// timed adds the CPU time of one call to a total.
async function timed(total, call) {
  const since = process.cpuUsage();
  const result = await call();
  total.us += spent(since);
  return result;
}

async function pair() {
  const [alice, bob] = [new Person('alice'), new Person('bob')];
  await bob.publish();
  await alice.start(bob);
  await bob.accept(alice, await alice.seal(bob, random(100)));
  for (let i = 0; i < 4; i++) {
    await alice.open(bob, await bob.seal(alice, random(100)));
    await bob.open(alice, await alice.seal(bob, random(100)));
  }
  return [alice, bob];
}

const random = (n) => webcrypto.getRandomValues(new Uint8Array(n));

async function stream(count, size, half) {
  const [alice, bob] = await pair();
  const [seal, open, wires] = [{ us: 0 }, { us: 0 }, []];
  const text = random(size);
  const sealing = process.cpuUsage();
  for (let i = 0; i < count; i++) wires.push(await alice.seal(bob, text));
  seal.us = spent(sealing);
  const opening = process.cpuUsage();
  for (const wire of wires) await bob.open(alice, wire);
  open.us = spent(opening);
  return half === 'seal' ? seal.us : open.us;
}

async function turns(count, size, half) {
  let [from, to] = await pair();
  const [seal, open] = [{ us: 0 }, { us: 0 }];
  const text = random(size);
  for (let i = 0; i < count; i++) {
    [from, to] = [to, from];
    const wire = await timed(seal, () => from.seal(to, text));
    await timed(open, () => to.open(from, wire));
  }
  return half === 'seal' ? seal.us : open.us;
}

async function starts(count, half) {
  const [seal, open] = [{ us: 0 }, { us: 0 }];
  const text = random(100);
  for (let i = 0; i < count; i++) {
    const [alice, bob] = [new Person('alice'), new Person('bob')];
    await bob.publish();
    const wire = await timed(seal, async () => {
      await alice.start(bob);
      return alice.seal(bob, text);
    });
    await timed(open, () => bob.accept(alice, wire));
  }
  return half === 'seal' ? seal.us : open.us;
}

const rows = {
  'stream-100-seal': (n) => stream(n, 100, 'seal'),
  'stream-100-open': (n) => stream(n, 100, 'open'),
  'stream-4096-seal': (n) => stream(n, 4096, 'seal'),
  'stream-4096-open': (n) => stream(n, 4096, 'open'),
  'turn-100-seal': (n) => turns(n, 100, 'seal'),
  'turn-100-open': (n) => turns(n, 100, 'open'),
  'start-seal': (n) => starts(n, 'seal'),
  'start-open': (n) => starts(n, 'open'),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [row, count] = line.split(' ');
  console.log(await rows[row](Number(count)));
}
