/** Times as people say them, with the exact one on hover. */
import { useEffect, useReducer } from 'preact/hooks'

const MINUTE_MS = 60_000
const TICK_MS = 30_000

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' })
const weekday = new Intl.DateTimeFormat(undefined, {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
})
const dated = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' })
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })

/** The components that show a recent time; one timer for all of them. */
const tellers = new Set<() => void>()
setInterval(() => {
  for (const tell of tellers) tell()
}, TICK_MS)

export function Time({ at }: { at: string }) {
  const [, render] = useReducer((count: number) => count + 1, 0)
  const ms = Date.parse(at)
  const recent = Date.now() - ms < 60 * MINUTE_MS
  useEffect(() => {
    if (!recent) return
    const tell = () => render(undefined)
    tellers.add(tell)
    return () => void tellers.delete(tell)
  }, [recent])
  return (
    <time dateTime={at} title={exact.format(ms)}>
      {recent ? ago(ms) : clock.format(ms)}
    </time>
  )
}

function ago(ms: number): string {
  const minutes = Math.floor((Date.now() - ms) / MINUTE_MS)
  return minutes < 1 ? 'just now' : relative.format(-minutes, 'minute')
}

/** `2026-11-24` in this browser's time zone. */
export function dayOf(at: string | number): string {
  const date = new Date(at)
  const two = (part: number) => String(part).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}

/** “Today”, “Tuesday, 24 November”, “3 May 2024”. */
export function dayLabel(at: string): string {
  const day = dayOf(at)
  if (day === dayOf(Date.now())) return 'Today'
  if (day === dayOf(Date.now() - 24 * 60 * MINUTE_MS)) return 'Yesterday'
  const date = new Date(at)
  const thisYear = date.getFullYear() === new Date().getFullYear()
  return (thisYear ? weekday : dated).format(date)
}

/** “2 hours ago”, “3 days ago”: for lists where a rough idea does. */
export function roughly(at: string): string {
  const minutes = Math.round((Date.now() - Date.parse(at)) / MINUTE_MS)
  if (minutes < 1) return 'just now'
  if (minutes < 60) return relative.format(-minutes, 'minute')
  if (minutes < 60 * 24) return relative.format(-Math.round(minutes / 60), 'hour')
  return relative.format(-Math.round(minutes / 60 / 24), 'day')
}

export function exactly(at: string): string {
  return exact.format(Date.parse(at))
}
