/**
 * What Parley counts, for Prometheus. Names follow its conventions (base units, `_total`); labels
 * have few, fixed values, never an id of a user or a room.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]

export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `parley_${name}`, help, labelNames, registers })
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `parley_${name}`, help, labelNames, registers })
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name: `parley_${name}`, help, buckets, registers })
  return {
    registry,
    counts: new Counts(),
    connections: gauge('connections', 'Live connections', ['transport']),
    subscriptions: gauge('subscriptions', 'Live subscriptions'),
    liveTimelines: gauge('live_timelines', 'Timelines with a tail in memory'),
    posts: counter('posts_total', 'Posts by outcome', ['outcome']),
    holes: counter('holes_total', 'Holes in what the bus brought that were read from the store'),
    headChecks: counter('head_checks_total', 'Timelines whose head was compared with the store'),
    headsBehind: counter('head_checks_behind_total', 'Those of them that had missed something'),
    replicaPages: counter(
      'replica_pages_total',
      'Pages asked of the replica: read, or left to the primary as it was behind, unfit or away',
      ['outcome'],
    ),
    deliveries: counter('deliveries_total', 'Events handed to live readers'),
    requests: counter('http_responses_total', 'HTTP responses by status', ['status']),
    drops: counter('connections_dropped_total', 'Connections ended by us, by cause', ['cause']),
    refusals: counter('refusals_total', 'Requests refused for load or rate, by cause', ['cause']),
    busConnected: gauge('bus_connected', '1 while NATS is reached; 0 also where none is set'),
    busSent: counter('bus_sent_total', 'Messages sent to other nodes'),
    busDropped: counter('bus_dropped_total', 'Messages not sent, as NATS was away or too slow'),
    busReceived: counter('bus_received_total', 'Messages of other nodes'),
    busIgnored: counter('bus_ignored_total', 'Messages on our subjects that no node has written'),
    signIns: counter('sign_ins_total', 'Sign-ins by outcome', ['outcome']),
    batchSize: histogram('batch_events', 'Events in one transaction', SIZES),
    commitTime: histogram('commit_seconds', 'From handing over a batch to its commit', SECONDS),
    flushTime: histogram('flush_seconds', 'Time one flush takes', SECONDS),
    loopLag: gauge('event_loop_lag_seconds', 'How late a timer of 500 ms was, last time'),
    postQueue: gauge('post_queue_events', 'Posts waiting for a commit'),
    hashQueue: gauge('hash_queue_jobs', 'Passwords waiting to be hashed'),
    residentMemory: gauge('resident_memory_bytes', 'Memory of the process, without its children'),
    cpu: counter(
      'process_cpu_seconds_total',
      'User and system time of the process, without its children',
    ),
  }
}

/**
 * What comes and goes ten thousand times a second when everyone reconnects, as plain numbers: the
 * library takes a microsecond to change one of its own. `report` hands them over before a reading.
 */
class Counts {
  subscriptions = 0
  websocket = 0
  sse = 0
  ndjson = 0
  'long-poll' = 0

  report({ subscriptions, connections }: { subscriptions: Gauge; connections: Gauge }): void {
    const { subscriptions: count, ...byTransport } = this
    subscriptions.set(count)
    for (const [transport, held] of Object.entries(byTransport))
      connections.set({ transport }, held as number)
  }
}

export type Metrics = ReturnType<typeof createMetrics>
