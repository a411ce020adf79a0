/**
 * The peers under the load of a scenario: each climbs the ladder of loads, and what it carried best
 * is its figure; what became of the other loads stands in its notes.
 */
import type { Cores } from '../machine.ts'
import type { Measured } from '../record.ts'
import { bestOf, climb, type Rung } from './ladder.ts'
import type { FoundPeer } from './list.ts'
import type { Peer } from './peer.ts'
import type { PeerProcess } from './process.ts'

/** The people of a scenario. Each room has as many readers as any other. */
export interface PeerCrowd {
  /** `stadium` */
  scenario: string
  connections: number
  rooms: number
  roomsEach: number
  textBytes: number
}

/** One server and one load, for `PeerLadder.run` to measure. */
export interface PeerTrial {
  peer: Peer
  server: PeerProcess
  crowd: PeerCrowd
  /** The server's names for the rooms. */
  roomNames: readonly string[]
  postsPerSecond: number
}

export interface PeerLadder {
  cores: Cores | undefined
  /** Deliveries a second, from the least. */
  loads: readonly number[]
  /** The load that is tried first; one of them. */
  from: number
  /** Measures one load; rejects, or returns `faults`, if the peer failed under it. */
  run(trial: PeerTrial): Promise<Measured>
}

/** A load with later deliveries than this is not carried: the queues are growing. */
const P99_MS_MAX = 1_000

/** One `Measured` for each peer, in their order. */
export async function measurePeers(
  crowd: PeerCrowd,
  found: readonly FoundPeer[],
  ladder: PeerLadder,
): Promise<Measured[]> {
  const measured: Measured[] = []
  for (const { peer, version } of found) {
    const tried = await climb(ladder.loads, ladder.from, (offered) =>
      attempt(peer, crowd, offered, ladder),
    )
    const { result } = bestOf(tried)
    measured.push({ ...result, version, notes: [...(result.notes ?? []), ...tried.map(told)] })
  }
  return measured
}

/** A server of its own for each load. A peer that does not start or breaks down carries nothing. */
async function attempt(
  peer: Peer,
  crowd: PeerCrowd,
  offered: number,
  { cores, run }: PeerLadder,
): Promise<Omit<Rung<Measured>, 'offered'>> {
  const { connections, rooms, roomsEach } = crowd
  const postsPerSecond = (offered * rooms) / (connections * roomsEach)
  const roomNames = Array.from({ length: rooms }, (_, room) => peer.roomName(room))
  let server: PeerProcess | undefined
  try {
    server = await peer.start({ core: cores?.server, connections })
    const result = await run({ peer, server, crowd, roomNames, postsPerSecond })
    return { result, carried: isCarried(result) }
  } catch (error) {
    return { result: brokenDown(peer, crowd, offered, error as Error), carried: false }
  } finally {
    await server?.stop()
  }
}

/** Whole, and no later at the end than people would wait for. */
function isCarried({ lost, latencyMs, faults = [] }: Measured): boolean {
  return lost === 0 && faults.length === 0 && (latencyMs?.p99 ?? 0) <= P99_MS_MAX
}

function brokenDown(peer: Peer, crowd: PeerCrowd, offered: number, error: Error): Measured {
  return {
    scenario: crowd.scenario,
    subject: peer.title,
    load: `${amount(offered)} deliveries/s`,
    unit: 'deliveries',
    durable: peer.durable,
    ordered: peer.ordered,
    offeredPerSecond: offered,
    faults: [`it broke down: ${error.message}`],
  }
}

/** `100,000 deliveries/s carried: whole, p99 12 ms`; of what never came there is no p99. */
function told({ offered, carried, result }: Rung<Measured>): string {
  const { lost = 0, latencyMs, faults = [] } = result
  const what = [
    ...faults,
    ...(lost > 0 ? [`${amount(lost)} not delivered`] : []),
    ...(lost === 0 && latencyMs ? [`whole, p99 ${amount(latencyMs.p99)} ms`] : []),
  ]
  const verdict = carried ? 'carried' : 'not carried'
  return `${amount(offered)} deliveries/s ${verdict}: ${what.join(', ')}`
}

function amount(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
