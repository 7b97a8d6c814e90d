/*
 * A text's way from the outbox of one device through the server's mailbox to
 * the database of another, with lost and repeated packets, broken streams, and
 * any of the three processes stopping. README.md says what is in the model and
 * what is not; ./run-spin checks it and its mutants. SPEC §9.5, §10.4, §14.4.
 *
 * Cryptography is not modelled: a message is a number, its envelope id, which
 * stands for immutable bytes: one text sealed at one position of the chain.
 * What a process writes in one transaction is one atomic block. What it holds
 * in memory is gone when it stops.
 *
 * Each mutant is one -D macro, and each must be found:
 *   TRANSMIT_FIRST   the message leaves before the next session is stored
 *   RESEAL           a repeat seals the text again at the same position
 *   ACK_FIRST        the server accepts before its fsync
 *   READ_UNSYNCED    the server delivers what a power cut could take away
 *   DELETE_FIRST     the recipient acknowledges before its transaction
 *   KEY_FIRST        the message key is erased before the text is stored
 *   RECEIPT_FIRST    the receipt leaves before the text is stored
 *   NO_CONTENT_ID    repeats are told apart by the envelope's id alone
 *   FORGET           the row goes from the outbox without the server's answer
 */

#ifndef TEXTS
#define TEXTS 2     /* 1 or 2 */
#endif
#ifndef CRASHES
#define CRASHES 2   /* of all processes together */
#endif
#ifndef FAULTS
#define FAULTS 2    /* lost or repeated packets and broken streams */
#endif

#define SEALS (TEXTS + CRASHES)          /* a crash can cost a second sealing */
#define LOG   (SEALS + CRASHES + FAULTS) /* the server may forget what it took */

/* The bytes of each message, by envelope id. Written once, never changed. */
byte seals;                /* ids given so far */
byte textOf[SEALS + 1];
byte posOf[SEALS + 1];

/* What has happened, for the properties only. */
byte usedBy[SEALS + 1];    /* which bytes left under the key of a position */
bit  sealed[TEXTS];        /* a message with this text is durably in the outbox */
bit  accepted[TEXTS];      /* the server said that it has the text */
byte shown[TEXTS];         /* how often the recipient's user saw it */

/* Packets to the server. An answer, an ack or a receipt takes effect at once
   or is lost: a late one could be told from neither. */
chan up = [1] of { byte };

hidden byte k, i; /* of the loops; nothing depends on them afterwards */
hidden byte found;

byte crashes = CRASHES;
byte faults  = FAULTS;

/* STOP is a point at which a process may stop and begin again with what is on
   disk. Elsewhere it holds nothing in memory that it would miss. */
#define STOP if :: crashes > 0 -> crashes--; goto restart :: true fi

/* Something happens, or a fault prevents it. */
#define UNLESSLOST(deed) if :: faults > 0 -> faults-- :: true -> deed fi

/* ------------------------------------------------------------- the sender */

/* On disk: */
bit  queued[TEXTS];        /* typed, waiting to be sealed */
byte position;             /* the session: next position of the chain */
bit  row[SEALS + 1];       /* the outbox: message stored, not yet confirmed by a receipt */
bit  told[SEALS + 1];      /* and accepted by the server */

inline seal(t, id) {
	seals++;
	id = seals;
	textOf[id] = t;
	posOf[id] = position
}

inline store(id) {
	position = posOf[id] + 1;
	row[id] = 1;
	sealed[textOf[id]] = 1
}

inline leave(id) {
	assert(usedBy[posOf[id]] == 0 || usedBy[posOf[id]] == id); /* one key, one message */
	usedBy[posOf[id]] = id;
	UNLESSLOST(up!id)
}

/* A repeat sends the same bytes under the same id. */
#define REPEAT(i) :: atomic { row[i] && !told[i] && empty(up) -> again(i) }

inline again(i) {
#ifdef RESEAL
	if
	:: usedBy[posOf[i]] == i && seals < SEALS ->
		row[i] = 0;
		seals++; textOf[seals] = textOf[i]; posOf[seals] = posOf[i];
		row[seals] = 1;
		leave(seals)
	:: else -> leave(i)
	fi
#else
	leave(i);
#endif
#ifdef FORGET
	row[i] = 0
#endif
}

proctype Sender() {
	byte t, id;
restart:
	t = 0;
endsender:
	do
	:: atomic { seals < SEALS && queued[0] -> t = 0; goto sealing }
#if TEXTS > 1
	:: atomic { seals < SEALS && queued[1] -> t = 1; goto sealing }
#endif
	REPEAT(1)
#if TEXTS + CRASHES > 1
	REPEAT(2)
#endif
#if TEXTS + CRASHES > 2
	REPEAT(3)
#endif
#if TEXTS + CRASHES > 3
	REPEAT(4)
#endif
	od;

sealing:
#ifdef TRANSMIT_FIRST
	atomic { seal(t, id); leave(id); STOP }
	atomic { store(id); id = 0; STOP }
#else
	atomic { seal(t, id); store(id); id = 0; STOP } /* next session, message, outbox row: one transaction */
#endif
	atomic { queued[t] = 0; goto restart } /* a transaction of its own: a crash before it seals once more */
}

/* ------------------------------------------------------------- the server */

byte log[LOG + 1];         /* the mailbox, by sequence number from 1 */
byte onDisk;               /* on disk: how far the log is synced */
byte releasedOnDisk;       /* on disk: acknowledged up to here, as far as synced */
byte appended;             /* in memory: end of the log */
byte released;             /* in memory: acknowledged up to here */
byte cursor;               /* in memory: delivered on this stream up to here */
bit  known[SEALS + 1];     /* in memory: ids taken of late */

#ifdef READ_UNSYNCED
#define readable appended
#else
#define readable onDisk
#endif

/* Accepted and neither in the mailbox nor with the recipient is lost. */
inline nothingLost() {
	d_step {
		for (k : 0 .. TEXTS - 1) {
			found = !accepted[k] || shown[k] > 0;
			for (i : 1 .. LOG) {
				if
				:: i > released && i <= onDisk && log[i] != 0 && textOf[log[i]] == k -> found = 1
				:: else
				fi
			}
			assert(found)
		}
		k = 0; i = 0; found = 0
	}
}

inline acknowledge(n) { /* cumulative */
	if :: n > released -> released = n :: else fi;
	nothingLost()
}

inline accept(id) {
	accepted[textOf[id]] = 1;
	UNLESSLOST(told[id] = 1)
}

proctype Relay() {
	byte id;
restart:
	atomic {
		for (id : 1 .. SEALS) { known[id] = 0 }
		for (id : onDisk + 1 .. LOG) { log[id] = 0 }
		appended = onDisk;
		if :: released = releasedOnDisk :: releasedOnDisk = released fi; /* acks are synced when it suits */
		cursor = released;
		id = 0;
		nothingLost()
	}
endrelay:
	do
	:: atomic { up?id ->
		if :: faults > 0 -> faults--; up!id :: true fi; /* the network repeats the packet */
		if
		:: known[id] || appended >= LOG
		:: else ->
			appended++; log[appended] = id; known[id] = 1; /* gapless */
#ifdef ACK_FIRST
			accept(id);
#endif
			STOP
		fi
	   }
	   atomic { onDisk = appended; STOP } /* fsync */
	   atomic {
#ifndef ACK_FIRST
		accept(id);
#endif
		nothingLost();
		id = 0
	   }
	:: atomic { crashes > 0 && released > releasedOnDisk -> crashes--; goto restart }
	od
}

/* ---------------------------------------------------------- the recipient */

/* On disk: */
bit taken[SEALS + 1];      /* the session: message keys used up */
bit seen[SEALS + 1];       /* envelope ids */
bit stored[TEXTS];         /* texts, by content id */
bit owed[TEXTS];           /* receipts */

inline keep(id) {
	taken[posOf[id]] = 1;
	seen[id] = 1;
	if
#ifdef NO_CONTENT_ID
	:: true -> shown[textOf[id]]++
#else
	:: !stored[textOf[id]] -> shown[textOf[id]]++
	:: else
#endif
	fi;
	stored[textOf[id]] = 1;
	owed[textOf[id]] = 1;
	assert(shown[textOf[id]] == 1) /* once */
}

/* A receipt ends the duty of the sender. The way back is the same machinery,
   so it is taken as reliable. */
inline confirm(t) {
	assert(shown[t] > 0); /* a receipt says: it is stored here */
	for (k : 1 .. SEALS) {
		if :: textOf[k] == t -> row[k] = 0 :: else fi
	}
	k = 0;
	owed[t] = 0
}

proctype Recipient() {
	byte n, id;
restart:
	atomic { n = 0; id = 0; cursor = released } /* a new stream begins after the last number acknowledged */
endrecipient:
	do
	:: atomic { cursor < readable ->
		cursor++; n = cursor; id = log[n];
#ifdef RECEIPT_FIRST
		confirm(textOf[id]);
#endif
#ifdef DELETE_FIRST
		UNLESSLOST(acknowledge(n));
		STOP
#endif
	   }
	   atomic { /* next session, text, envelope id, owed receipt: one transaction */
		if
		:: seen[id]
		:: !seen[id] && taken[posOf[id]] /* a replay: dropped and acknowledged */
		:: else ->
#ifdef KEY_FIRST
			taken[posOf[id]] = 1;
			STOP;
#endif
			keep(id)
		fi;
		STOP
	   }
	   atomic {
#ifndef DELETE_FIRST
		UNLESSLOST(acknowledge(n));
#endif
		n = 0; id = 0
	   }
	:: atomic { faults > 0 && cursor > released -> faults--; goto restart } /* the stream breaks */
	:: atomic { owed[0] -> confirm(0) }
#if TEXTS > 1
	:: atomic { owed[1] -> confirm(1) }
#endif
	od
}

init {
	atomic {
		for (k : 0 .. TEXTS - 1) { queued[k] = 1 }
		k = 0;
		run Sender(); run Relay(); run Recipient()
	}
}

/* With finitely many faults, every text that was stored in the outbox is shown. */
ltl delivered { [] (sealed[0] -> <> (shown[0] > 0)) && [] (sealed[TEXTS - 1] -> <> (shown[TEXTS - 1] > 0)) }
