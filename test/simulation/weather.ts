/** What goes wrong, and how often: parts of one, and milliseconds. Calm weather has no faults. */
export interface Weather {
  store: StoreWeather
  bus: BusWeather
  network: NetworkWeather
}

export interface StoreWeather {
  latencyMs: number
  /** Refused, and nothing done. */
  refuses: number
  /** The outcome is not told, and the change is not made; or it is. */
  unknown: number
  /** A read fails. */
  readFails: number
  /** The node dies at a commit: before it, or between it and its answer. */
  kills: number
}

export interface BusWeather {
  /** Messages may overtake each other within this time. */
  latencyMs: number
  loses: number
  doubles: number
}

export interface NetworkWeather {
  latencyMs: number
}

export function calm(): Weather {
  return {
    store: { latencyMs: 2, refuses: 0, unknown: 0, readFails: 0, kills: 0 },
    bus: { latencyMs: 2, loses: 0, doubles: 0 },
    network: { latencyMs: 2 },
  }
}
