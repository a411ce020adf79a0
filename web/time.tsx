/** When something was said, with the exact time on hover. */
import { useEffect, useReducer } from 'preact/hooks'
import { ago, clockTime, exactly, MINUTE_MS } from './times.ts'

const TICK_MS = 30_000

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
    <time dateTime={at} title={exactly(at)}>
      {recent ? ago(ms) : clockTime(ms)}
    </time>
  )
}
