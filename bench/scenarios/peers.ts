/** The peers under the load of a scenario of talk, by the same generator. */
import { LADDERS } from '../peers/ladder.ts'
import { measurePeers, type PeerCrowd, type PeerTrial } from '../peers/measure.ts'
import type { Measured } from '../record.ts'
import { amount, type BenchContext } from './scenario.ts'
import { measureTalk } from './talk.ts'

/** Deliveries a second that every peer is asked for first. */
const FIRST_RUNG = 100_000
const TIMES = {
  quick: { warmUpS: 1, seconds: 4, drainSMax: 3 },
  full: { warmUpS: 2, seconds: 10, drainSMax: 5 },
}

/** One row for each peer that is wanted and here. */
export function measurePeersUnder(crowd: PeerCrowd, context: BenchContext): Promise<Measured[]> {
  const { cores, quick, peers } = context
  return measurePeers(crowd, peers, {
    cores,
    loads: quick ? LADDERS.quick : LADDERS.full,
    from: FIRST_RUNG,
    run: (trial) => measureTrial(trial, context),
  })
}

async function measureTrial(trial: PeerTrial, context: BenchContext): Promise<Measured> {
  const { peer, server, crowd, roomNames, postsPerSecond } = trial
  const { scenario, textBytes, connections, rooms, roomsEach } = crowd
  const times = context.quick ? TIMES.quick : TIMES.full
  const readers = (connections * roomsEach) / rooms
  const where =
    rooms === 1
      ? `${amount(readers)} readers in one room`
      : `${amount(rooms)} rooms × ${amount(readers)} readers`
  const rate = `${amount(postsPerSecond)} posts/s`
  const [measured] = await measureTalk(
    {
      scenario,
      textBytes,
      crowd: [{ connections, from: 0, rooms, roomsEach }],
      phases: [
        {
          name: rate,
          ...times,
          schedules: [{ from: 0, rooms, postsPerSecond }],
          loads: [`${where}, ${rate} for ${times.seconds} s`],
        },
      ],
    },
    {
      name: peer.title,
      durable: peer.durable,
      ordered: peer.ordered,
      port: server.port,
      get pids() {
        return server.pids
      },
      dialect: peer.dialect,
      rooms: roomNames,
      tokens: [],
      promises: false,
    },
    context,
  )
  if (measured === undefined) throw new Error('its connections were lost')
  return measured[0]!
}
