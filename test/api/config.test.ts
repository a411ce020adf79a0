/** Settings: defaults, both sides of every bound, and nonsense refused in words. */
import { describe, expect, test } from 'bun:test'
import { type Config, defaultConfig, readConfig, settings, variableName } from '../../src/config.ts'

/** The sentences with which these settings are refused; none if they are accepted. */
function refusals(environment: Record<string, string>): string[] {
  try {
    readConfig(environment)
    return []
  } catch (error) {
    return (error as Error).message.split('\n')
  }
}

test('with nothing set, everything has its documented default', () => {
  expect(readConfig({})).toEqual(defaultConfig())
  expect(readConfig({})).toMatchObject({
    host: '127.0.0.1',
    port: 8080,
    dataDir: './data',
    publicUrl: '',
    corsOrigins: [],
    rateLimits: 'on',
    textBytesMax: 16_384,
    bodyBytesMax: 65_536,
    frameBytesMax: 65_536,
    roomNameCharsMax: 80,
    pageDefault: 100,
    pageMax: 1_000,
    subscriptionsPerConnectionMax: 500,
    connectionsPerUserMax: 50,
    authTimeoutMs: 5_000,
  })
})

test('an empty variable counts as not set', () => {
  expect(readConfig({ PORT: '', HOST: '', PUBLIC_URL: '' })).toEqual(defaultConfig())
})

test('a setting’s variable is its name in capitals', () => {
  expect(variableName('textBytesMax')).toBe('TEXT_BYTES_MAX')
  expect(variableName('port')).toBe('PORT')
  expect(readConfig({ TEXT_BYTES_MAX: '1000' }).textBytesMax).toBe(1_000)
})

test('every setting has a sentence on what it is for', () => {
  for (const [name, { about }] of Object.entries(settings)) expect([name, about]).not.toContain('')
})

describe('whole numbers', () => {
  const numbers = Object.entries(settings).filter(([, one]) => typeof one.default === 'number')

  /** The bounds as the refusal names them. */
  function boundsOf(name: string): { min: number; max: number } {
    const [sentence = ''] = refusals({ [variableName(name)]: '-1' })
    const [, min, max] = / is not a whole number from (\d+) to (\d+)\.$/.exec(sentence) ?? []
    return { min: Number(min), max: Number(max) }
  }

  /** Settings that must fit with others are given room to move. */
  const room = { BODY_BYTES_MAX: '16777216', FRAME_BYTES_MAX: '16777216', PAGE_DEFAULT: '1' }

  const accepted = (name: keyof Config, value: number): boolean => {
    const variable = variableName(name)
    const others = Object.fromEntries(Object.entries(room).filter(([one]) => one !== variable))
    if (/^(body|frame)/.test(name)) others.TEXT_BYTES_MAX = '1'
    if (name === 'pageDefault') others.PAGE_MAX = '10000'
    const environment = { ...others, [variable]: String(value) }
    return refusals(environment).length === 0 && readConfig(environment)[name] === value
  }

  test.each(numbers.map(([name]) => name))('%s, on both sides of both bounds', (given) => {
    const name = given as keyof Config
    const { min, max } = boundsOf(name)
    expect(accepted(name, min)).toBe(true)
    expect(accepted(name, max)).toBe(true)
    expect(accepted(name, max + 1)).toBe(false)
    if (min > 0) expect(accepted(name, min - 1)).toBe(false)
    expect(settings[name].default).toBeGreaterThanOrEqual(min)
    expect(settings[name].default).toBeLessThanOrEqual(max)
  })

  test.each(['abc', '1.5', '-1', '+1', '1e3', '0x10', ' 80', '80 ', '١', '9'.repeat(16), '80,81'])(
    'PORT=%s is refused in a sentence',
    (value) => {
      const shown = JSON.stringify(value)
      expect(refusals({ PORT: value })).toEqual([
        `PORT=${shown} is not a whole number from 0 to 65535.`,
      ])
    },
  )
})

describe('words and origins', () => {
  test.each([
    ['RATE_LIMITS', 'of', 'RATE_LIMITS="of" is not one of on, off.'],
    ['RATE_LIMITS', 'ON', 'RATE_LIMITS="ON" is not one of on, off.'],
    [
      'LOG_LEVEL',
      'loud',
      'LOG_LEVEL="loud" is not one of fatal, error, warn, info, debug, trace, silent.',
    ],
    ['HOST', '\0', 'HOST="\\u0000" is empty or not a plain text.'],
  ])('%s=%s is refused', (variable, value, sentence) => {
    expect(refusals({ [variable]: value })).toEqual([sentence])
  })

  test.each([
    'chat.example.org',
    'ftp://chat.example.org',
    'https://chat.example.org/path',
    'https://chat.example.org/?a',
    'https://user@chat.example.org',
    'https://',
    'javascript:alert(1)',
  ])('PUBLIC_URL=%s is no origin', (value) => {
    const sentence = `PUBLIC_URL="${value}" is not an origin such as https://chat.example.org.`
    expect(refusals({ PUBLIC_URL: value })).toEqual([sentence])
    expect(refusals({ CORS_ORIGINS: `https://ok.example,${value}` })).toHaveLength(1)
  })

  test('origins are brought into one form', () => {
    expect(readConfig({ PUBLIC_URL: 'HTTPS://Chat.Example.org:443/' }).publicUrl).toBe(
      'https://chat.example.org',
    )
    expect(
      readConfig({ CORS_ORIGINS: 'https://a.example, http://b.example:81' }).corsOrigins,
    ).toEqual(['https://a.example', 'http://b.example:81'])
  })
})

describe('the address of a database', () => {
  test.each([
    'postgres://localhost/parley',
    'postgresql://ada:secret@db.example.org:5433/parley?sslmode=verify-full',
    'postgres://[::1]/parley',
  ])('%s is accepted', (value) => {
    expect(readConfig({ DATABASE_URL: value }).databaseUrl).toBe(value)
  })

  test.each([
    'mysql://ada:secret@localhost/parley',
    'secret',
    'postgres:secret',
    'postgres://',
    'postgres:///parley?password=secret',
    'postgres://ada:secret@local host/parley',
  ])('%s is refused, without showing it: it may hold a password', (value) => {
    expect(refusals({ DATABASE_URL: value })).toEqual([
      'DATABASE_URL=… is not an address that begins with postgres:// or postgresql://.',
    ])
  })
})

describe('contradictions', () => {
  test.each<[Record<string, string>, RegExp]>([
    [{ NATS_URL: 'nats://localhost' }, /^NATS_URL .*SQLite.*DATABASE_URL .*or unset NATS_URL\.$/],
    [{ DATABASE_REPLICA_URL: 'postgres://localhost/parley' }, /^DATABASE_REPLICA_URL .*standby/],
    [{ PAGE_DEFAULT: '101', PAGE_MAX: '100' }, /^PAGE_DEFAULT is larger than PAGE_MAX/],
    [{ TEXT_BYTES_MAX: '65537' }, /^TEXT_BYTES_MAX must fit into BODY_BYTES_MAX and FRAME/],
    [{ FRAME_BYTES_MAX: '16383' }, /^TEXT_BYTES_MAX must fit/],
  ])('%o is refused', (environment, sentence) => {
    const found = refusals(environment)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(sentence)
  })

  test('a NATS is for nodes that share a PostgreSQL, which a node alone may use as well', () => {
    const DATABASE_URL = 'postgres://localhost/parley'
    expect(refusals({ DATABASE_URL })).toEqual([])
    expect(refusals({ DATABASE_URL, NATS_URL: 'nats://localhost' })).toEqual([])
    expect(refusals({ DATABASE_URL, NATS_URL: 'tls://me:s3cret@one,tls://two:4223' })).toEqual([])
    const found = refusals({ DATABASE_URL, NATS_URL: 'http://me:s3cret@localhost' })
    expect(found).toEqual(['NATS_URL=… is not an address that begins with nats:// or tls://.'])
  })

  test('their edge is accepted', () => {
    expect(refusals({ PAGE_DEFAULT: '100', PAGE_MAX: '100' })).toEqual([])
    expect(refusals({ TEXT_BYTES_MAX: '65536' })).toEqual([])
    expect(refusals({ PASSWORD_CHARS_MIN: '64', PASSWORD_CHARS_MAX: '64' })).toEqual([])
  })
})

test('everything that is wrong is said at once, each in a sentence of its own', () => {
  const found = refusals({ PORT: 'abc', LOG_LEVEL: 'loud', NATS_URL: 'nats://localhost' })
  expect(found).toHaveLength(3)
  for (const sentence of found) expect(sentence).toEndWith('.')
})

test('a long value is not printed whole', () => {
  expect(refusals({ PORT: 'x'.repeat(10_000) })[0]!.length).toBeLessThan(200)
})
