/**
 * How a chat server is spoken to over a WebSocket. The generator opens the connection, makes the
 * upgrade and cuts frames; a dialect joins rooms, encodes posts and recognises deliveries. There is
 * one for each server: Parley's, which the bare loop shares, in `parley.ts`, a peer's beside the
 * peer.
 *
 * Every text begins with the post's number in its room, 0, 1, 2 …, as `NUMBER_DIGITS` digits, and
 * is filled up to a fixed length (`texts.ts`): so a delivery can be checked, and its latency
 * counted from the time that the post was planned for.
 */

/** A module with a dialect exports it under this name. It runs in the generator's process. */
export type CreateDialect = (setup: DialectSetup) => Dialect

export interface DialectSetup {
  /** The server's names for the rooms; everywhere else a room is its index in this list. */
  rooms: readonly string[]
  /** Of every text. */
  textBytes: number
  /** Credentials, in whatever form the dialect wants them; connections share them in turn. */
  tokens: readonly string[]
  /** What this server needs besides; plain JSON. */
  options: Record<string, unknown>
}

export interface Dialect {
  /**
   * Of the upgrade of a connection that is to join these rooms. `Host`, `Upgrade` and the key are
   * added.
   */
  upgrade(
    connection: number,
    rooms: readonly number[],
  ): { path: string; headers: Record<string, string> }
  /**
   * The upgrade has been answered: begins to join the rooms, and says so with `wire.joined()` once
   * all are. A dialect whose server speaks first returns and waits for `received`.
   */
  opened(wire: Wire): void
  /**
   * A whole data frame, `bytes` from `start` to `end`; valid only during the call. Pings and
   * closing are the generator's. Before `joined` it is part of the conversation; after it, a
   * delivery, a reply or noise. Servers that speak a stream (MQTT, NATS) may cut messages anywhere:
   * keep the rest in `wire.state`. Throws if it is nothing that the server may send.
   */
  received(wire: Wire, opcode: number, bytes: Buffer, start: number, end: number): void
  /**
   * The WebSocket frame (see `encodeFrame`) that posts number `n` to a room. Valid until the next
   * call.
   */
  post(room: number, n: number): Uint8Array
}

/** One connection, as its dialect sees it. */
export interface Wire {
  readonly index: number
  /** The rooms it is to join. */
  readonly rooms: readonly number[]
  /** The dialect's own. */
  state: unknown
  /**
   * What a subscription says besides, so that it goes on where a lost connection ended; JSON
   * members, each behind a comma. Undefined where nothing is resumed.
   */
  resumeText?(room: number): string
  /** Sends a frame as `encodeFrame` makes them; what the kernel does not take waits. */
  send(frame: Uint8Array): void
  /**
   * A room is joined: the next delivery there must be `next`, a seq or a post's number. Where the
   * server does not tell, leave it out: then the first delivery may be any.
   */
  joinedRoom(room: number, next?: number): void
  /** All rooms are joined. */
  joined(): void
  /**
   * The server is too busy to let it join a room: `again` asks once more, and is to be called after
   * so many seconds. Without this, it is a fault.
   */
  joinLater?(afterS: number, again: () => void): void
  /**
   * One or more deliveries in a row: `first` to `last`, in the server's numbering where it has one,
   * otherwise the posts' numbers. With a numbering of the server's, `numbers` are the posts' own,
   * in the same order.
   */
  delivered(room: number, first: number, last: number, numbers?: Int32Array): void
  /** A post was acknowledged, with the server's number for it where it has one. */
  acknowledged(room: number, n: number, seq?: number): void
  /** A post was refused, or something else went wrong that must be told. */
  fault(text: string): void
}
