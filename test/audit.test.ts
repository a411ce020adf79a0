/** What `npm run audit` makes of what npm has found out, or has not. */
import { expect, test } from 'bun:test'
import { verdictOf } from '../scripts/audit.ts'

test('nothing known passes', () => {
  const verdict = verdictOf({ vulnerabilities: {}, metadata: { vulnerabilities: { total: 0 } } })
  expect(verdict).toEqual({ exitCode: 0, sentence: 'No known weakness in any locked package.' })
})

test('each known weakness is named, and fails', () => {
  const verdict = verdictOf({
    vulnerabilities: {
      left: { severity: 'high', range: '<1.2.3' },
      right: { severity: 'low', range: '*' },
    },
    metadata: { vulnerabilities: { total: 2 } },
  })
  expect(verdict.exitCode).toBe(1)
  expect(verdict.sentence.split('\n').slice(1)).toEqual(['high: left <1.2.3', 'low: right *'])
})

test('a registry that does not answer is no pass, and is said to be none', () => {
  for (const report of [{ message: '405 Method Not Allowed' }, {}]) {
    const { exitCode, sentence } = verdictOf(report)
    expect(exitCode).toBe(2)
    expect(sentence).toStartWith('Not audited: the registry does not answer')
  }
})
