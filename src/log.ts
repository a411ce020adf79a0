/**
 * Structured logs: one JSON object a line on standard error. Standard output is kept for the one
 * line people wait for (the address). No token, password or message text is ever passed in here;
 * `redact` is the second fence behind that rule.
 */
import pino from 'pino'

export type Log = pino.Logger
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

const SECRETS = ['token', 'password', 'passwordHash', 'text', 'authorization', 'cookie']

export function createLog(level: LogLevel): Log {
  const paths = SECRETS.flatMap((name) => [name, `*.${name}`])
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact: paths },
    pino.destination({ dest: 2, sync: true }),
  )
}
