/** Times as people say them. */
export const MINUTE_MS = 60_000

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' })
const weekday = new Intl.DateTimeFormat(undefined, {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
})
const dated = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' })
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })

/** “just now”, “5 minutes ago”. */
export function ago(ms: number): string {
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

/** With the day of the week and the second. */
export function exactly(at: string): string {
  return exact.format(Date.parse(at))
}

/** `14:05`. */
export function clockTime(ms: number): string {
  return clock.format(ms)
}
