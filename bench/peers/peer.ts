/**
 * A server of somebody else's that Parley is measured beside: how it is found, started, spoken to,
 * and what it does not do. One file a peer; each also exports its `createDialect`.
 */
import type { PeerProcess } from './process.ts'

export interface Peer {
  /** On the command line. */
  name: string
  /** For people. */
  title: string
  /** One line that installs it. */
  install: string
  /** When a post is safe from a power cut; a few words. */
  durable: string
  /** What is promised about the order and the completeness of deliveries; a few words. */
  ordered: string
  /** Path of the module with its `createDialect`. */
  dialect: string
  /** The server's name for a room, which need not be made beforehand. */
  roomName(room: number): string
  /** Its version, with that of what it runs on; undefined if it is not on this machine. */
  find(): string | undefined
  /** Rejects if it does not accept connections within `START_MS_MAX`. */
  start(options: PeerOptions): Promise<PeerProcess>
}

export interface PeerOptions {
  /** All its processes run on this one; undefined where processes cannot be pinned. */
  core: number | undefined
  /** How many it is to hold. */
  connections: number
}

/** `r00042`: rooms have names of one length, so that what is sent and received has fixed shapes. */
export const ROOM_DIGITS = 5

export function roomName(room: number): string {
  return `r${String(room).padStart(ROOM_DIGITS, '0')}`
}
