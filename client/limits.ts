/** Every limit and every wait of the library, by name. */

/** The first wait before another attempt is at most so long; each further one twice as long … */
export const BACKOFF_MIN_MS = 500
/** … up to this. */
export const BACKOFF_MAX_MS = 30_000
/** Longer than this no server is obeyed. */
export const WAIT_MAX_MS = 3_600_000
/** Before the next attempt when the server says that the fault is ours. */
export const LONG_WAIT_MS = 30_000
/** Nothing received for so long: ask for a sign of life. */
export const SILENCE_MS = 25_000
/** None within this time: the connection is dead, whatever it looks like. */
export const PING_TIMEOUT_MS = 10_000
/** An operation that is not answered in time makes its connection doubtful. */
export const REPLY_TIMEOUT_MS = 15_000
/** The same for a request over HTTP, body included. Sign-ins may have to wait in a line. */
export const HTTP_TIMEOUT_MS = 30_000
/** A connection that nobody needs is kept for so long. */
export const IDLE_MS = 60_000
/** Operations awaiting their reply; further ones wait here rather than in the server's queue. */
export const CALLS_MAX = 256
/** A head beyond what has come is a lost tail if it stays so for this time. */
export const HEAD_GRACE_MS = 3_000
/** Events kept of each place for readers that are not there yet. The rest is in the history. */
export const QUEUE_MAX = 1_000
/** Events asked for at once to close a gap, unless the server wants fewer. */
export const HEAL_PAGE = 1_000
/** Unsent and failed posts of one person. */
export const OUTBOX_POSTS_MAX = 1_000
/** Longer posts go over HTTP: a frame that is too long would cost the connection. */
export const FRAME_POST_CHARS_MAX = 4_096
export const WINDOW_EVENTS_MAX = 500
export const WINDOW_PAGE = 50
