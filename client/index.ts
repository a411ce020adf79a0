/** The client library of Parley. `README.md` shows how it is used. */
export type { Clock } from './clock.ts'
export { ParleyError } from './errors.ts'
export { HEAD_GRACE_MS, OUTBOX_POSTS_MAX, QUEUE_MAX } from './limits.ts'
export { Parley } from './parley.ts'
export type * from './types.ts'
