/**
 * Every setting, in one table: its default, its bounds and what it is for. The environment variable
 * is the name in capitals (`textBytesMax` → `TEXT_BYTES_MAX`). `docs/operating.md` is generated
 * from this table. Nothing else reads the environment.
 */
import type { LogLevel } from './log.ts'

interface Setting<T> {
  default: T
  /** For people: what it is, in which unit. */
  about: string
  /** Reads the text, or throws an Error that completes the sentence "PORT=abc is …". */
  parse: (text: string) => T
  /** It may hold a password, and is never shown. */
  isSecret?: true
}

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

function integer(value: number, min: number, max: number, about: string): Setting<number> {
  return {
    default: value,
    about,
    parse(text) {
      const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
      if (number >= min && number <= max) return number
      throw new Error(`not a whole number from ${min} to ${max}`)
    },
  }
}

function choice<const T extends string>(value: T, all: readonly T[], about: string): Setting<T> {
  return {
    default: value,
    about: `${about} One of: ${all.join(', ')}.`,
    parse(text) {
      const found = all.find((one) => one === text)
      if (found === undefined) throw new Error(`not one of ${all.join(', ')}`)
      return found
    },
  }
}

function text(value: string, about: string): Setting<string> {
  return {
    default: value,
    about,
    parse(given) {
      if (given === '' || given.includes('\0')) throw new Error('empty or not a plain text')
      return given
    },
  }
}

function origin(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || `${url.origin}/` !== url.href)
    throw new Error('not an origin such as https://chat.example.org')
  return url.origin
}

/** The address of a service, with a user and a password if need be. None by default. */
function address(schemes: readonly string[], about: string): Setting<string> {
  return {
    default: '',
    about,
    isSecret: true,
    parse(given) {
      const url = URL.canParse(given) ? new URL(given) : undefined
      if (url !== undefined && url.hostname !== '' && schemes.includes(url.protocol)) return given
      throw new Error(`not an address that begins with ${schemes.join('// or ')}//`)
    },
  }
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export const settings = {
  host: text('127.0.0.1', 'Address to listen on.'),
  port: integer(8080, 0, 65_535, 'Port to listen on; 0 takes a free one and prints it.'),
  dataDir: text('./data', "The embedded database's folder."),
  databaseUrl: address(
    ['postgres:', 'postgresql:'],
    '`postgres://user:password@host:port/database`; without it, SQLite in `DATA_DIR`.',
  ),
  databaseReplicaUrl: address(
    ['postgres:', 'postgresql:'],
    'A streaming standby of it: older pages of history are read there.',
  ),
  databaseConnectionsMax: integer(10, 2, 1_000, 'Connections to PostgreSQL; one of them appends.'),
  databaseTimeoutMs: integer(2_000, 100, 60_000, 'Longest wait for PostgreSQL; past it 503.'),
  natsUrl: address(
    ['nats:', 'tls:'],
    '`nats://user:password@host:port`: joins the nodes that share a PostgreSQL.',
  ),
  publicUrl: {
    default: '',
    about: 'The origin people use, for absolute links and the `Origin` check; else the request’s.',
    parse: origin,
  } satisfies Setting<string>,
  corsOrigins: {
    default: [] as string[],
    about: 'Comma-separated origins whose pages may call the API with a token. None by default.',
    parse: (list) => list.split(',').map((one) => origin(one.trim())),
  } satisfies Setting<string[]>,
  trustedProxyHops: integer(
    0,
    0,
    10,
    'How many proxies in front add to `X-Forwarded-For`; 0 takes the peer’s own address.',
  ),
  logLevel: choice<LogLevel>('info', LOG_LEVELS, 'How much is logged, on standard error.'),

  rateLimits: choice('on', ['on', 'off'], '`off` is for load tests on loopback.'),
  postsPerMinuteMax: integer(3_000, 1, 1e9, 'Posts a user may make in a minute, on average.'),
  postsBurstMax: integer(1_000, 1, 1e9, 'Posts a user may make at once.'),
  requestsPerMinuteMax: integer(
    12_000,
    1,
    1e9,
    'Other requests of one user, on average; with bad tokens, of one address.',
  ),
  requestsBurstMax: integer(2_000, 1, 1e9, 'Other requests of one user at once.'),
  framesPerMinuteMax: integer(
    60_000,
    1,
    1e9,
    'Frames one WebSocket may send, on average; past it the socket is closed (1008).',
  ),
  framesBurstMax: integer(5_000, 1, 1e9, 'Frames one WebSocket may send at once.'),
  signUpsPerMinuteMax: integer(60, 1, 1e9, 'Sign-ups from one address, on average.'),
  signUpsBurstMax: integer(1_000, 1, 1e9, 'Sign-ups from one address at once.'),
  failuresPerNameMax: integer(
    30,
    1,
    1e6,
    'Failed sign-ins for one name at once; 2 a minute after.',
  ),
  failuresPerAddressMax: integer(
    60,
    1,
    1e6,
    'Failed sign-ins from one address at once; 20 a minute after.',
  ),
  rateLimitEntriesMax: integer(
    200_000,
    100,
    1e8,
    'Users and addresses whose rates are remembered.',
  ),

  textBytesMax: integer(16_384, 1, 1_048_576, 'Length of a message, in bytes of UTF-8.'),
  bodyBytesMax: integer(65_536, 1_024, 16_777_216, 'Size of a request body, in bytes.'),
  frameBytesMax: integer(65_536, 1_024, 16_777_216, 'Size of a WebSocket message, in bytes.'),
  roomNameCharsMax: integer(80, 1, 1_000, 'Length of a room’s name, in characters.'),
  passwordCharsMin: integer(8, 1, 64, 'Shortest password.'),
  passwordCharsMax: integer(256, 64, 4_096, 'Longest password.'),
  keyCharsMax: integer(255, 16, 1_024, 'Longest idempotency key.'),
  pageDefault: integer(100, 1, 1_000, 'Items on a page when no limit is asked for.'),
  pageMax: integer(1_000, 1, 10_000, 'Largest limit that may be asked for.'),
  waitSecondsMax: integer(60, 1, 600, 'Longest long-poll.'),
  connectsPerSecondMax: integer(
    10_000,
    1,
    1e6,
    'WebSockets and streams let in, on average; past it 503, and come back a little later.',
  ),
  connectsBurstMax: integer(20_000, 1, 1e7, 'WebSockets and streams let in at once.'),
  connectionsMax: integer(100_000, 1, 1e7, 'WebSockets, streams and long-polls in this process.'),
  connectionsPerUserMax: integer(50, 1, 1e6, 'The same, of one user.'),
  subscriptionsPerConnectionMax: integer(500, 1, 100_000, 'Subscriptions of one WebSocket.'),
  sessionsPerUserMax: integer(1_000, 1, 1e6, 'Sign-ins of one user; past it the oldest ends.'),

  sessionTtlMs: integer(30 * DAY_MS, 1_000, 3_650 * DAY_MS, 'A session unused for so long ends.'),
  sessionsCachedMax: integer(200_000, 1, 1e8, 'Sessions kept in memory.'),
  placesCachedMax: integer(200_000, 1, 1e8, 'Rooms, and users, kept in memory.'),
  hashConcurrency: integer(
    0,
    0,
    256,
    'Processes that hash passwords; 0 means cores − 1, at least 1.',
  ),
  hashQueueMax: integer(1_024, 1, 100_000, 'Passwords waiting to be hashed; past it 503.'),

  postQueueMax: integer(20_000, 1, 1e7, 'Posts waiting for a commit; past it 503.'),
  postQueueBytesMax: integer(64 << 20, 65_536, 2 ** 40, 'Their bytes; past it 503.'),
  batchEventsMax: integer(4_096, 1, 100_000, 'Posts in one transaction.'),
  storeTimeoutMs: integer(10_000, 100, 600_000, 'Longest wait for the database; past it 503.'),
  storeReadersMax: integer(
    4,
    1,
    64,
    'Threads that read the embedded database; more than one only while the disk is slow.',
  ),
  storeQueueMax: integer(10_000, 1, 1e6, 'Calls waiting for the database; past it 503.'),

  authTimeoutMs: integer(5_000, 100, 60_000, 'A WebSocket must be signed in within this time.'),
  heartbeatMs: integer(
    20_000,
    100,
    60_000,
    'Time between pings; a socket silent from one to the next is cut.',
  ),
  socketQueueMax: integer(1_024, 1, 100_000, 'Frames of one WebSocket that wait to be handled.'),
  slowReaderBytesMax: integer(
    4 << 20,
    65_536,
    1 << 30,
    'Bytes a live reader may be behind; past it the reader is closed (4008) and resumes.',
  ),
  slowReaderMs: integer(30_000, 100, 600_000, 'Longest a reader may take no bytes at all.'),
  closeGraceMs: integer(5_000, 10, 60_000, 'Time for a closing handshake before the cut.'),
  tailEventsMax: integer(16_384, 1, 1e6, 'Recent events kept in memory for each live timeline.'),
  tailBytesMax: integer(4 << 20, 1_024, 1 << 30, 'Their bytes, for each live timeline.'),
  tailsBytesMax: integer(
    24 << 20,
    1_024,
    2 ** 40,
    'Their bytes, for all live timelines together; past it each has an equal share.',
  ),
  idleTimelinesMax: integer(
    10_000,
    0,
    1e7,
    'Timelines whose recent events stay in memory though nobody follows them.',
  ),
  tickMsMax: integer(
    200,
    0,
    1_000,
    'Longest time from one round of writing to the next, under load, unless writing takes longer.',
  ),
  headCheckMs: integer(
    2_000,
    50,
    60_000,
    'With `DATABASE_URL`: how often the database is asked for what other nodes did and the bus ' +
      'did not tell.',
  ),
  drainTimeoutMs: integer(8_000, 100, 60_000, 'Time to finish what was begun, on SIGTERM.'),
} satisfies Record<string, Setting<unknown>>

export type Config = {
  [Name in keyof typeof settings]: (typeof settings)[Name]['default']
}

/** `textBytesMax` → `TEXT_BYTES_MAX`. */
export function variableName(setting: string): string {
  return setting.replace(/[A-Z]/g, (capital) => `_${capital}`).toUpperCase()
}

/** The defaults, with some values of the caller's. */
export function defaultConfig(overrides: Partial<Config> = {}): Config {
  const entries = Object.entries(settings).map(([name, one]) => [name, one.default])
  return { ...(Object.fromEntries(entries) as Config), ...overrides }
}

/**
 * Reads all settings. Throws one Error whose message has a sentence for each thing that is wrong;
 * an empty variable counts as not set.
 */
export function readConfig(environment: Record<string, string | undefined> = process.env): Config {
  const wrong: string[] = []
  const given: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries<Setting<unknown>>(settings)) {
    const variable = variableName(name)
    const value = environment[variable]
    if (value === undefined || value === '') continue
    try {
      given[name] = setting.parse(value)
    } catch (error) {
      const shown = setting.isSecret ? '…' : JSON.stringify(value.slice(0, 100))
      wrong.push(`${variable}=${shown} is ${(error as Error).message}.`)
    }
  }
  const config = defaultConfig(given as Partial<Config>)
  wrong.push(...contradictions(config))
  if (wrong.length > 0) throw new Error(wrong.join('\n'))
  return config
}

function contradictions(config: Config): string[] {
  const wrong: string[] = []
  if (config.natsUrl !== '' && config.databaseUrl === '')
    wrong.push(
      'NATS_URL joins several nodes, and nodes cannot share an SQLite database: set DATABASE_URL ' +
        'to a PostgreSQL that they share, or unset NATS_URL.',
    )
  if (config.databaseReplicaUrl !== '' && config.databaseUrl === '')
    wrong.push(
      'DATABASE_REPLICA_URL is a standby of the PostgreSQL at DATABASE_URL: set that, too, or ' +
        'unset DATABASE_REPLICA_URL.',
    )
  if (config.pageDefault > config.pageMax)
    wrong.push('PAGE_DEFAULT is larger than PAGE_MAX: make it at most as large.')
  if (config.textBytesMax > config.bodyBytesMax || config.textBytesMax > config.frameBytesMax)
    wrong.push('TEXT_BYTES_MAX must fit into BODY_BYTES_MAX and FRAME_BYTES_MAX.')
  if (config.passwordCharsMin > config.passwordCharsMax)
    wrong.push('PASSWORD_CHARS_MIN is larger than PASSWORD_CHARS_MAX.')
  return wrong
}
