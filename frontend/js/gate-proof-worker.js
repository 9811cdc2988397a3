// One worker of the proof of work; ALTCHA's, as it is.
import "altcha/workers/pbkdf2";
