/** Who wants to know of a change, and the hook with which a component is one of them. */
import { useLayoutEffect, useReducer } from 'preact/hooks'

export type Off = () => void

export class Signal {
  readonly #listeners = new Set<() => void>()

  emit(): void {
    for (const listener of this.#listeners) listener()
  }

  /** The returned function stops it. */
  onChange(listener: () => void): Off {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

/**
 * Renders the component again whenever the source changes. It listens before anything else can
 * happen: an effect that waits for the screen would miss what changes meanwhile.
 */
export function useChanges(source: { onChange(listener: () => void): Off }): void {
  const [, render] = useReducer((count: number) => count + 1, 0)
  useLayoutEffect(() => source.onChange(() => render(undefined)), [source])
}
