/**
 * A bounded map of things that never change once they exist. A miss asks `load`, once for all who
 * ask meanwhile; what does not exist is not remembered, because it may come to be. When full, the
 * oldest entry goes.
 */
export class Cache<T> {
  readonly #entries = new Map<string, T>()
  readonly #loading = new Map<string, Promise<T | undefined>>()
  readonly #max: number
  readonly #load: (id: string) => Promise<T | undefined>

  constructor(max: number, load: (id: string) => Promise<T | undefined>) {
    this.#max = max
    this.#load = load
  }

  get size(): number {
    return this.#entries.size
  }

  /** At once if it is known, else a promise. */
  find(id: string): T | Promise<T | undefined> {
    return this.#entries.get(id) ?? this.#joined(id)
  }

  /** The value kept under this id, which is the given one if there was none. */
  keep(id: string, value: T): T {
    const kept = this.#entries.get(id)
    if (kept === undefined) this.set(id, value)
    return kept ?? value
  }

  set(id: string, value: T): void {
    if (this.#entries.size >= this.#max && !this.#entries.has(id)) {
      const oldest = this.#entries.keys().next()
      if (!oldest.done) this.#entries.delete(oldest.value)
    }
    this.#entries.set(id, value)
  }

  /** Whoever joins a look-up that finds nothing looks again: it may have come to be after that. */
  #joined(id: string): Promise<T | undefined> {
    const underWay = this.#loading.get(id)
    if (underWay !== undefined) return underWay.then((value) => value ?? this.#loaded(id))
    const loading = this.#loaded(id).finally(() => this.#loading.delete(id))
    this.#loading.set(id, loading)
    return loading
  }

  async #loaded(id: string): Promise<T | undefined> {
    const value = await this.#load(id)
    if (value !== undefined) this.set(id, value)
    return value
  }
}
