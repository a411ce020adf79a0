/** How a WebSocket says why it is closed: by code for programs, by reason for people. */
import type { EndCause } from './connections.ts'

export const CLOSE: Record<EndCause, [code: number, reason: string]> = {
  bad_frame: [4400, 'bad frame'],
  not_signed_in: [4401, 'not signed in'],
  signed_out: [4401, 'signed out'],
  no_auth_in_time: [4408, 'no auth in time'],
  too_slow: [4008, 'too slow: resume from your cursor'],
  too_many: [4013, 'too many connections'],
  too_busy: [1008, 'too many frames'],
  failed: [1012, '{"retryMs":2000}'],
  restarting: [1012, '{"retryMs":1000}'],
  dead: [1001, 'no sign of life'],
}
