/** The client library of Parley. `README.md` shows how it is used. */
export { ParleyError, type Problem } from './errors.ts'
export { Parley } from './parley.ts'
export type * from './types.ts'
