"""Recomputes every key of the golden sessions given as arguments, by SPEC §4.3, §5.2, §6 and §9."""
import hashlib, hmac, json, sys

def sha384(*parts): return hashlib.sha384(b"".join(parts)).digest()
def mac(key, text): return hmac.new(key, text, "sha384").digest()
def v16(x): return len(x).to_bytes(2, "big") + x
def v32(x): return len(x).to_bytes(4, "big") + x
def expand(key, info, size):  # RFC 5869, for up to two blocks
    first = mac(key, info + b"\1")
    return (first + mac(key, first + info + b"\2"))[:size]
def binding(suite, account, id, ecdsa, mldsa):
    if suite.startswith("PQ3/"): return v16(account.hex().encode()) + v16(id) + v16(ecdsa)
    return v16(account) + v16(id) + v16(sha384(b"posthorn/devkeys/v1", v16(ecdsa), v16(mldsa)))
def parse(wire):
    flags, start, m, at = wire[1], wire[10:14] == bytes(4), {}, 0
    pk, ct, here = flags & 1, flags >> 1 & 1, flags >> 7  # of the chain, and whether on board
    for name, size in (("version", 1), ("flags", 1), ("sid", 8), ("epoch", 4), ("n", 4), ("pn", 4),
            ("pk", 32), ("odig", 8 if flags & 7 else 0), ("kem_pk", here * pk * 1184),
            ("kem_ct", here * ct * (1568 if start else 1088)), ("hash", here * start * 48),
            ("time", here * start * 8), ("sig", here * start * (wire[0] == 2) * 3309),
            ("proof", 32), ("auth", 2), ("text", 4)):
        if name in ("auth", "text"): size, at = int.from_bytes(wire[at:at + size], "big"), at + size
        m[name], at = wire[at:at + size], at + size
    assert at + 64 == len(wire), "a message ends with its signature"
    return m
def pairs(g, raw=bytes.fromhex):  # what the golden file says, and what its inputs give
    ends = [binding(g["suite"], **{k: raw(v) for k, v in d.items()}) for d in g["devices"]]
    bundle, root = raw(g["bundle"]), bytes(32)
    old, asked = bundle[2:34], bundle[34:1602]  # ratchet key and KEM key of the epoch before
    name = sha384(v16(old), v16(asked), v16(bundle[1618:1682]), v16(bundle[1682:]))
    for step in g["steps"]:
        m, epoch = parse(raw(step["message"])), step["epoch"]
        dst = v16(g["suite"].encode()) + b"".join(ends[::-1] if epoch % 2 else ends)
        objects = [v16(m[k]) for k in ("kem_pk", "kem_ct", "hash", "time", "sig")]
        if m["hash"]: sid = sha384(b"posthorn/sid/v1", *map(v16, (name, m["pk"], m["kem_ct"])))[:8]
        if m["flags"][0] & 128:
            odig = sha384(b"posthorn/objs/v1", dst, sid, m["epoch"], m["pk"], *objects)[:8]
        if m["n"] == bytes(4):  # the root step
            ecdh, kem = (raw(g["epochs"][epoch][k]) for k in ("ecdh_secret", "kem_secret"))
            info = dst + (b"pk_ratchet" if epoch else b"session_start") + v16(old) + v16(m["pk"])
            info += v16(m["kem_ct"]) + v16(asked) if m["kem_ct"] else b""
            out = expand(mac(kem or bytes(48), mac(root, ecdh)), b"rkDerivation-" + info, 64)
            root, chain, old, asked = out[:32], out[32:], m["pk"], m["kem_pk"]
        key, after = (expand(chain, i, 32) for i in (b"msgKeyDerivation", b"chainKeyDerivation"))
        covered = [b"messageSignaturev1", v32(m["text"]), v32(m["auth"]), bytes(32), m["pk"],
            m["n"], dst, *objects[:3], sid, m["epoch"], m["pn"], *objects[3:],
            m["flags"], v16(m["odig"])]
        tag, material = mac(expand(key, b"mac", 48), b"".join(covered)), expand(key, b"aes-ctr", 48)
        proof = tag[:32] if m["version"] == b"\2" else expand(key, b"msg-key-ind", 32)
        values = dict(root_key=root, chain_key=chain, message_key=key, next_chain_key=after,
            proof=proof, counter_block=material[:16], aes_key=material[16:])
        yield from ((k, raw(step[k]), v) for k, v in values.items())
        yield from (("session", raw(g["session"]), sid), ("sid", m["sid"], sid),
            ("tag", m["proof"], proof), ("odig", m["odig"], odig * bool(m["odig"])),
            ("bundle", m["hash"], name * bool(m["hash"])))
        chain = after
checks = [(path, *pair) for path in sys.argv[1:] for pair in pairs(json.load(open(path)))]
wrong = [f"{path}: {name}" for path, name, says, gives in checks if says != gives]
print(f"{len(checks)} values compared, {len(wrong)} differ", *wrong[:3], sep="\n")
sys.exit(bool(wrong) or not checks)
