/** The peers, in the order they are measured in. */
import type { MissingPeer } from '../record.ts'
import { ejabberd } from './ejabberd.ts'
import { mosquitto } from './mosquitto.ts'
import { nats } from './nats.ts'
import { nchan } from './nchan.ts'
import { nodeWs } from './node-ws.ts'
import type { Peer } from './peer.ts'
import { socketIo } from './socket-io.ts'

export const peers: readonly Peer[] = [socketIo, nodeWs, nchan, ejabberd, mosquitto, nats]

export interface FoundPeer {
  peer: Peer
  version: string
}

/**
 * Those of `names` that are on this machine, and the others with how to install them; `undefined`
 * asks for all. Throws on a name that is none.
 */
export function findPeers(names: readonly string[] | undefined): {
  found: FoundPeer[]
  missing: MissingPeer[]
} {
  const known = peers.map(({ name }) => name)
  const unknown = names?.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new Error(`There is no peer "${unknown}". The peers are ${known.join(', ')}.`)
  const found: FoundPeer[] = []
  const missing: MissingPeer[] = []
  for (const peer of peers) {
    if (names !== undefined && !names.includes(peer.name)) continue
    const version = peer.find()
    if (version === undefined) missing.push({ peer: peer.title, install: peer.install })
    else found.push({ peer, version })
  }
  return { found, missing }
}
