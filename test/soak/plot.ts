/** The samples of a soak as one SVG: memory above, open files and the loop's lag below. */
import type { Sample } from './samples.ts'

const WIDTH = 960
const HEIGHT = 150
const LEFT = 64
const GAP = 46

interface Curve {
  name: string
  unit: string
  of: (sample: Sample) => number
}

const CURVES: Curve[] = [
  { name: 'resident memory', unit: 'MiB', of: ({ rssMiB }) => rssMiB },
  { name: 'open files', unit: '', of: ({ openFiles }) => openFiles },
  { name: 'lag of the event loop', unit: 'ms', of: ({ lagMs }) => lagMs },
]

/** A whole document; each curve from 0, so that growth is seen for what it is. */
export function plotOf(samples: readonly Sample[], title: string): string {
  const drawn = CURVES.map((curve, i) => drawCurve(curve, samples, 50 + i * (HEIGHT + GAP)))
  const height = 50 + CURVES.length * (HEIGHT + GAP)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img"
 aria-label="${title}" font-family="system-ui, sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fcfcfa"/>
<text x="${LEFT}" y="24" font-size="15" fill="#182024">${title}</text>
${drawn.join('\n')}
</svg>
`
}

function drawCurve({ name, unit, of }: Curve, samples: readonly Sample[], top: number): string {
  const endS = samples.at(-1)?.atS ?? 1
  const max = Math.max(1, ...samples.map(of)) * 1.1
  const x = (atS: number) => LEFT + (atS / endS) * (WIDTH - LEFT - 20)
  const y = (value: number) => top + HEIGHT - (value / max) * HEIGHT
  const line = samples.map((sample) => `${x(sample.atS).toFixed(1)},${y(of(sample)).toFixed(1)}`)
  const ticks = [0, max / 2.2, max / 1.1].map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - 20}" y1="${y(value)}" y2="${y(value)}" stroke="#d5dbd8"/>` +
      `<text x="${LEFT - 8}" y="${y(value) + 4}" text-anchor="end" fill="#566168">` +
      `${value < 10 ? value.toFixed(1) : Math.round(value)}</text>`,
  )
  const words = `${name}${unit && `, ${unit}`}`
  return `${ticks.join('')}
<text x="${LEFT}" y="${top - 6}" fill="#182024">${words}</text>
<text x="${WIDTH - 20}" y="${top + HEIGHT + 18}" text-anchor="end" fill="#566168">${
    endS >= 120 ? `${Math.round(endS / 60)} min` : `${Math.round(endS)} s`
  }</text>
<polyline points="${line.join(' ')}" fill="none" stroke="#0b6a63" stroke-width="1.5"/>`
}
