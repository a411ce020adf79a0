/** What a run says: the report, the table, and the drawings they are made of. */
import { expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Measured, Second } from '../bench/record.ts'
import { bars, lengthOf } from '../bench/report/bars.ts'
import { renderReport, writeReport } from '../bench/report/html.ts'
import { escapeText, html } from '../bench/report/markup.ts'
import { bytes, duration, figure, plural, shortFigure } from '../bench/report/numbers.ts'
import { latencyPlot } from '../bench/report/plot.ts'
import { linearScale, niceStep, scaleFor, timeStep } from '../bench/report/scale.ts'
import { linesOf, spread, thin } from '../bench/report/series.ts'
import { contendersOf, leadOf, p99LimitMs } from '../bench/report/verdict.ts'
import { cautions, goalsSentence, headline, ratioSentence } from '../bench/report/words.ts'
import { report, table } from '../bench/table.ts'
import { SAMPLE } from './bench-sample.ts'

const HOSTILE = `</script><img src=x onerror="alert('1')">&\u202e\u0000|\n`

const RUN: Measured = {
  ...{ scenario: 'stadium', subject: 'parley', load: 'some', unit: 'deliveries' },
  ...{ durable: 'fsync', ordered: 'gapless', perSecond: 1_000, perCpuSecond: 2_000 },
}

/** Spaces that do not break are spaces to a reader. */
function plain(text: string): string {
  return text.replaceAll('\u00a0', ' ')
}

function rowsOf(scenario: string): Measured[] {
  return SAMPLE.measured.filter((row) => row.scenario === scenario)
}

function onlyRun(row: Measured): string {
  return renderReport({ ...SAMPLE, measured: [row], missing: [] })
}

test('figures have three digits and their unit', () => {
  const told = (values: number[], tell: (value: number) => string) =>
    values.map((value) => plain(tell(value)))
  expect(told([0, 0.04231, 9.999, 312_457, 999_999, 9_998_204, 1.2e9], figure)).toEqual([
    ...['0', '0.0423', '10', '312,000', '1 million', '10 million', '1.2 billion'],
  ])
  expect(told([999, 1_000, 999_900, 1e16, 1e300], shortFigure)).toEqual([
    ...['999', '1 k', '1 M', '1.00e+16', '1.00e+300'],
  ])
  expect(told([0, 0.4246, 999.7, 1_234, 119_900, 1_800_000], duration)).toEqual([
    ...['0 ms', '0.425 ms', '1 s', '1.23 s', '2 min', '30 min'],
  ])
  expect(told([0, 999, 999.9, 2_140, 2.4e11, 5e15], bytes)).toEqual([
    ...['0 B', '999 B', '1 KB', '2.14 KB', '240 GB', '5,000 TB'],
  ])
  expect([plural(0, 'run'), plural(1, 'run'), plural(1_200, 'run')]).toEqual([
    ...['no runs', '1 run', '1,200 runs'],
  ])
})

test('what is no number is a dash', () => {
  for (const tell of [figure, shortFigure, duration, bytes])
    expect([undefined, null, Number.NaN, Infinity].map(tell)).toEqual(['–', '–', '–', '–'])
})

test('ticks are round, ascending and within the scale', () => {
  expect(scaleFor([3, 88]).ticks).toEqual([0, 50, 100])
  expect(scaleFor([0.1, 0.29]).ticks).toEqual([0, 0.1, 0.2, 0.3])
  expect(scaleFor([2, 90]).ticks).toEqual([2, 5, 10, 20, 50, 100])
  expect(linearScale(3, 62, timeStep(59)).ticks).toEqual([10, 20, 30, 40, 50, 60])
  expect([niceStep(0.3), niceStep(1), niceStep(2.1), niceStep(7e8)]).toEqual([0.5, 1, 5, 1e9])
  const latency = fc.double({ min: 1e-6, max: 1e12, noNaN: true })
  fc.assert(
    fc.property(fc.array(latency, { minLength: 1 }), (values) => {
      const { ticks, place } = scaleFor(values)
      expect(ticks.length).toBeWithin(1, 16)
      const places = ticks.map((tick) => place(tick)!)
      for (const one of places) expect(one).toBeWithin(0, 1 + 1e-9)
      expect(places).toEqual(places.toSorted((one, other) => one - other))
      for (const value of values) expect(place(value)).toBeWithin(0, 1 + 1e-9)
    }),
  )
})

test('a scale takes nothing, zero, NaN and huge values', () => {
  for (const values of [[], [0], [Number.NaN], [null], [-5]])
    expect(scaleFor(values).ticks).toEqual([0, 0.5, 1])
  const far = scaleFor([1e-3, 1e15])
  expect(far.kind).toBe('logarithmic')
  expect([far.place(0), far.place(Number.NaN), far.place(undefined)]).toEqual([
    ...[undefined, undefined, undefined],
  ])
  expect(far.place(1e300)).toBe(1)
  expect(linearScale(7, 7, 1).place(7)).toBe(0.5)
})

test('a spike survives thinning, a rate becomes its mean', () => {
  const seconds = Array.from({ length: 1_000 }, (_, atS) => ({
    ...{ atS, perSecond: atS % 2 === 0 ? 100 : 300, p50: 1, p99: atS === 777 ? 900 : 5 },
  }))
  const thinned = thin(seconds, 100)
  expect(thinned).toHaveLength(100)
  expect(Math.max(...thinned.map(({ p99 }) => p99))).toBe(900)
  expect(thinned.every(({ perSecond }) => perSecond === 200)).toBe(true)
  expect(thin(seconds.slice(0, 100), 100)).toHaveLength(100)
  expect(thin(seconds.slice(0, 101), 100)).toHaveLength(51)
})

test('a line ends where a second is missing', () => {
  const at = (x: number) => ({ x, y: 0 })
  expect(linesOf([at(0), at(1), undefined, at(3), undefined, undefined])).toEqual([
    [at(0), at(1)],
    [at(3)],
  ])
})

test('labels move apart and stay inside', () => {
  expect(spread([50, 52, 10], 15, 200)).toEqual([50, 65, 10])
  expect(spread([199, 198], 15, 200)).toEqual([200, 185])
  expect(spread([], 15, 200)).toEqual([])
})

test('a plot draws what it has: nothing, one second, holes, huge values', () => {
  const scale = scaleFor([1, 100])
  const draw = (seconds: Second[]) => latencyPlot({ seconds, unit: 'posts', scale }).text
  expect(draw([])).toContain('No second of this run had a latency')
  const second = { atS: 0, perSecond: 5, p50: 10, p99: 50 }
  expect(draw([{ ...second, p50: Number.NaN, p99: Number.NaN }])).toContain('No second')
  expect(draw([second]).match(/<circle class="p99" cx="50%"/g)).toHaveLength(1)
  const hole = draw([0, 1, 2, 3, 4].map((atS) => ({ ...second, atS, p99: atS === 2 ? NaN : 50 })))
  expect(/class="p99" d="([^"]*)"/.exec(hole)![1]!.match(/M/g)).toHaveLength(2)
  const huge = draw([second, { atS: 1e9, perSecond: 1e300, p50: 1e300, p99: 1e308 }])
  for (const drawing of [draw([second]), hole, huge]) expect(drawing).not.toMatch(/NaN|Infinity|–"/)
})

test('bars start at zero and none is invisible', () => {
  expect([lengthOf(5, 10), lengthOf(1, 1e9), lengthOf(0, 10), lengthOf(0, 0)]).toEqual([
    ...[50, 0.3, 0, 0],
  ])
  expect([lengthOf(Number.NaN, 10), lengthOf(undefined, 10)]).toEqual([undefined, undefined])
  expect(bars('nothing', [])).toBeUndefined()
  const bar = { name: 'a', value: null, told: 'failed', kind: 'void' } as const
  expect(bars('one', [bar])!.text).not.toContain('<svg')
})

test('whatever a record says is text', () => {
  expect(escapeText(`<a b="c">&'\u0000\u202e`)).toBe(
    '&lt;a b=&quot;c&quot;&gt;&amp;&#39;\ufffd\ufffd',
  )
  expect(html`<p>${[html`<b>${'<'}</b>`, undefined, false, 0]}</p>`.text).toBe(
    '<p><b>&lt;</b>0</p>',
  )
  const goals = [{ text: HOSTILE, goal: HOSTILE, value: HOSTILE, met: false }]
  const lists = { notes: [HOSTILE], faults: [HOSTILE], goals }
  const words = { subject: HOSTILE, version: HOSTILE, durable: HOSTILE, ordered: HOSTILE }
  const one = { ...RUN, scenario: HOSTILE, load: HOSTILE, ...lists }
  const series = [{ atS: 0, perSecond: 1, p50: 1, p99: 1 }]
  const page = renderReport({
    ...{ ...SAMPLE, command: HOSTILE, startedAt: HOSTILE },
    machine: { ...SAMPLE.machine, cpu: HOSTILE, dataFolder: HOSTILE },
    measured: [
      { ...one, series },
      { ...one, ...words },
      { ...RUN, unit: HOSTILE as 'posts' },
    ],
    missing: [{ peer: HOSTILE, install: HOSTILE }],
  })
  expect(page).toContain('&lt;img src=x onerror=&quot;')
  expect(page).not.toContain('<img')
  expect(page.match(/<\/script>/g)).toHaveLength(1)
  expect(page).not.toMatch(/[\u0000\u202e]/)
})

test('the report loads nothing and is well formed', async () => {
  const page = renderReport(SAMPLE)
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1]
  expect(policy).toStartWith('default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;')
  expect(page).not.toMatch(/\b(https?:|src=|@import|url\(|undefined|NaN)/)
  const open: string[] = []
  for (const [, close, name, rest] of page.matchAll(/<(\/?)([a-z]\w*)([^>]*)>/g)) {
    if (['meta', 'br'].includes(name!) || rest!.endsWith('/')) continue
    if (close === '') open.push(name!)
    else expect(open.pop(), `</${name}>`).toBe(name)
  }
  expect(open).toEqual([])
  const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
  expect(new Set(ids).size).toBe(6)
  for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target)
})

test('the report is written where it is asked for', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-report-'))
  const file = join(folder, 'deep', 'report.html')
  writeReport(SAMPLE, file)
  expect(readFileSync(file, 'utf8')).toBe(renderReport(SAMPLE))
  rmSync(folder, { recursive: true })
})

test('text and lines can be seen in both themes', () => {
  const css = readFileSync(new URL('../bench/report/page.css', import.meta.url), 'utf8')
  const themes = [...css.matchAll(/:root \{[^}]*--ink[^}]*\}/g)].map(
    ([block]) => new Map([...block.matchAll(/--([\w-]+): (#\w{6})/g)].map(([, k, v]) => [k, v!])),
  )
  expect(themes).toHaveLength(2)
  const light = (hex: string) =>
    [1, 3, 5]
      .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i]!, 0)
  for (const theme of themes) {
    const contrast = (one: string, other: string) => {
      const [low, high] = [one, other].map((name) => light(theme.get(name)!)).sort((a, b) => a - b)
      return (high! + 0.05) / (low! + 0.05)
    }
    for (const text of ['ink', 'muted', 'own', 'missed'])
      expect(contrast(text, 'paper'), text).toBeGreaterThanOrEqual(4.5)
    for (const text of ['ink', 'muted', 'missed'])
      expect(contrast(text, 'missed-soft'), text).toBeGreaterThanOrEqual(4.5)
    for (const line of ['own-soft', 'bare', 'peer'])
      expect(contrast(line, 'paper'), line).toBeGreaterThanOrEqual(3)
  }
})

test('a headline is the run that got the most through, with what it lost', () => {
  const said = Object.fromEntries(
    ['stadium', 'night', 'blackout', 'monday'].map((name) => [name, plain(headline(rowsOf(name)))]),
  )
  expect(said).toEqual({
    stadium: '10 million deliveries a second, nothing lost, p99 413 ms.',
    night: '18,000 connections at 2.14 KB each, nothing lost, p99 241 ms.',
    blackout: '10,000 connections back, nothing lost, p99 1.32 s.',
    monday: 'The checks failed: these figures count for nothing.',
  })
  const other = { ...RUN, perSecond: 9_000, faults: ['twice'] }
  expect(headline([{ ...RUN, lost: 3 }, other])).toBe(
    '1,000 deliveries a second, 3 lost. But one run failed its checks.',
  )
  expect(headline([{ ...RUN, subject: 'nats' }])).toBe('Parley was not measured here.')
})

test('goals of a run with faults are void, never met', () => {
  expect(goalsSentence(rowsOf('town'))).toBe('All 4 goals are met.')
  expect(goalsSentence(rowsOf('stadium'))).toBe(
    '6 of 7 goals met. Missed: p99 in the bystander room (63.4 ms, asked ≤ 50 ms).',
  )
  expect(goalsSentence([RUN])).toBe('No goal was set.')
  const goals = [{ text: 'p99', goal: '≤ 1 s', value: '2 ms', met: true }]
  const broken = { ...RUN, goals, faults: ['reader 7 missed number 41'] }
  expect(goalsSentence([broken])).toContain('void')
  const page = onlyRun(broken)
  expect(page).toContain('reader 7 missed number 41')
  expect(page).toContain('<span>void</span>')
  expect(page).not.toContain('<span>met</span>')
  expect(page).not.toContain('class="key-figures"')
  expect([p99LimitMs(goals), p99LimitMs(), p99LimitMs([{ ...goals[0]!, goal: 'low' }])]).toEqual([
    ...[1_000, undefined, undefined],
  ])
})

test('Parley is compared with the bare loop under the same load, and with each peer’s best', () => {
  const bare = { ...RUN, subject: 'bare loop', perCpuSecond: 2_500 }
  const peer = (perSecond: number, lost: number) => ({
    ...{ ...RUN, subject: 'nats', load: `${perSecond}`, perSecond, lost },
  })
  const rows = [{ ...bare, load: 'other', perSecond: 9 }, bare, peer(10, 0), peer(90, 5), RUN]
  expect(contendersOf(rows)).toEqual([RUN, bare, peer(10, 0)])
  expect(ratioSentence(RUN, rows)).toContain('gets 0.8 times as much')
  expect(ratioSentence(RUN, [{ ...bare, faults: ['x'] }, RUN])).toBeUndefined()
  expect(ratioSentence(RUN, [{ ...bare, perCpuSecond: 0 }, RUN])).toBeUndefined()
  expect(leadOf([{ ...RUN, faults: ['x'] }])).toBeUndefined()
  expect(contendersOf([bare])).toEqual([])
})

test('a missing peer is named with how to install it', () => {
  const page = renderReport(SAMPLE)
  expect(page).toContain('<code>apt-get install nginx libnginx-mod-nchan</code>')
  expect(report(SAMPLE)).toContain('- nchan is missing and was not measured: apt-get install')
})

test('what spoils a run is said', () => {
  const said = (row: Partial<Measured>) => cautions({ ...RUN, ...row }).map(plain)
  expect(said({ disturbed: 0.05, generatorCores: 0.95, listenOverflows: 0 })).toEqual([])
  expect(said({ disturbed: 0.06, generatorCores: 0.96, listenOverflows: 1 })).toEqual([
    'The load generator was as busy as the server: the server may be faster than this.',
    'Other processes had 6 % of a core: measure again, alone.',
    'The kernel dropped 1 handshake: the listen queue was full.',
  ])
})

test('no figure at all, and JSON’s nulls, are shown as missing', () => {
  const { perSecond, perCpuSecond, ...bare } = RUN
  const empty = { ...bare, series: [], runs: [], goals: [], notes: [], faults: [] }
  const nulls = JSON.parse(
    JSON.stringify({
      ...RUN,
      perSecond: NaN,
      lost: NaN,
      latencyMs: { p50: NaN, p99: 1, max: NaN },
    }),
  )
  for (const row of [empty, nulls]) {
    expect(onlyRun(row)).not.toMatch(/NaN|undefined|null/)
    expect(table([row])).not.toMatch(/NaN|undefined|null/)
  }
  expect(renderReport({ ...SAMPLE, measured: [], missing: [] })).toContain('Nothing was measured.')
})

test('the table is aligned, leaves out empty columns, and says what failed', () => {
  const rows = [
    { ...RUN, perSecond: 12_345.6, faults: [] },
    { ...RUN, scenario: 'a | b\n', faults: ['lost'] },
    RUN,
  ]
  const lines = table(rows).split('\n')
  expect(lines).toHaveLength(5)
  expect(new Set(lines.map((line) => line.length)).size).toBe(1)
  expect(lines[0]).not.toContain('p99')
  expect(lines[2]).toContain('| 12,346 deliveries |')
  expect(lines[3]).toStartWith('| a \\| b')
  expect(lines.slice(2).map((line) => /passed|FAILED/.exec(line)?.[0])).toEqual([
    ...['passed', 'FAILED', undefined],
  ])
  const text = report(SAMPLE)
  expect(text).toContain('other processes had up to 11 % of a core')
  expect(text).toContain('p99 in the bystander room: 63.4 ms, asked ≤ 50 ms: MISSED')
  expect(text).toContain('failures: 129, asked none: VOID')
  expect(text).toContain('FAILED: 129 sign-ins were answered 503')
})
