/** A node's end of a bus over NATS, and what it has heard. */
import type { Bus } from '../../src/live/bus.ts'
import { createNatsBus, OPEN_MS_MAX } from '../../src/live/bus-nats.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics, type Metrics } from '../../src/metrics.ts'
import { until } from '../harness.ts'
import { msOf } from '../soon.ts'

export class NatsNode {
  readonly bus: Bus
  readonly metrics: Metrics = createMetrics()
  readonly seqs: number[] = []
  readonly revoked: string[] = []
  readonly joins: number[] = []

  constructor(url: string, cluster = 'epoch') {
    this.bus = createNatsBus({ url, cluster, metrics: this.metrics, log: createLog('silent') })
    this.bus.listen({
      events: (events) => void this.seqs.push(...events.map(({ seq }) => seq)),
      revoked: (sessions) => void this.revoked.push(...sessions),
      joined: () => void this.joins.push(performance.now()),
    })
  }

  static async joined(url: string, cluster?: string): Promise<NatsNode> {
    const node = new NatsNode(url, cluster)
    await until(() => node.bus.connected, 'it reaches NATS')
    return node
  }

  /**
   * Opens it and resolves once NATS knows. The bus itself lets go whoever has waited for long,
   * which a machine that stands still may bring about. NATS takes in order what a connection asks
   * for, so an answer in time to a later question tells that it knows of the first one, too.
   */
  async open(timeline: string): Promise<void> {
    const settled = (id: string) => msOf(async () => this.bus.open(id))
    let tookMs = await settled(timeline)
    for (let n = 1; tookMs > OPEN_MS_MAX / 2; n++) tookMs = await settled(`${timeline}-again-${n}`)
  }

  async count(name: 'busSent' | 'busDropped' | 'busReceived' | 'busIgnored'): Promise<number> {
    return (await this.metrics[name].get()).values[0]!.value
  }
}
