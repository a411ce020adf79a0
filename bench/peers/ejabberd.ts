/**
 * ejabberd: XMPP over WebSocket (RFC 7395), a group chat (MUC) for each room, each with an archive
 * (MAM) in SQLite, as its makers advise for small servers. The presences of ten thousand in a room
 * would be a hundred million stanzas, so they are not broadcast; and nobody is slowed down.
 */
import { Database } from 'bun:sqlite'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { CreateDialect, Wire } from '../generator/dialect.ts'
import { readNumber } from '../generator/texts.ts'
import { encodeText, OPCODE } from '../generator/websocket.ts'
import { type Peer, ROOM_DIGITS, roomName } from './peer.ts'
import { findProgram, PeerProcess } from './process.ts'
import { Shape } from './shape.ts'

/** Where Debian keeps libraries of Erlang; the machine's architecture stands for the asterisk. */
const LIBRARIES = '/usr/lib'
const ERLANG_LIBRARIES = '/usr/lib/erlang/lib'

const ARCHIVE = 'archive.db'

const CONFIG = (port: number, folder: string): string => `
hosts: [localhost]
loglevel: error
log_rotate_count: 0
auth_method: [anonymous]
anonymous_protocol: sasl_anon
allow_multiple_connections: true
default_db: mnesia
sql_type: sqlite
sql_database: ${folder}/${ARCHIVE}
max_fsm_queue: 10000000
websocket_ping_interval: 600
websocket_timeout: 3600
listen:
  - port: ${port}
    ip: "127.0.0.1"
    module: ejabberd_http
    backlog: 4096
    request_handlers:
      /ws: ejabberd_http_ws
shaper_rules:
  max_user_sessions: 1000000
modules:
  mod_mam:
    db_type: sql
    default: never
  mod_muc:
    access: all
    access_create: all
    access_mam: all
    history_size: 0
    max_users: 100000
    max_user_conferences: 1000
    default_room_options:
      mam: true
      max_users: 100000
      presence_broadcast: []
`

export const ejabberd: Peer = {
  name: 'ejabberd',
  title: 'ejabberd',
  install: 'apt-get install ejabberd erlang-p1-sqlite3',
  durable: 'fsync before it is sent on',
  ordered: 'in order for each room, what was missed is in the archive',
  dialect: import.meta.path,
  roomName,
  find() {
    const folder = findLibrary()
    if (folder === undefined || findProgram('erl') === undefined || !hasSqlite()) return undefined
    return /ejabberd-([\d.]+)/.exec(folder)?.[1]
  },
  start({ core, connections }) {
    return PeerProcess.start(core, (folder, port) => {
      makeArchive(join(folder, ARCHIVE))
      return {
        command: [findProgram('erl')!, '-noinput', ...flags(folder, connections)],
        env: {
          EJABBERD_CONFIG_PATH: join(folder, 'ejabberd.yml'),
          EJABBERD_LOG_PATH: join(folder, 'ejabberd.log'),
          SPOOL_DIR: folder,
          HOME: folder,
          ERL_CRASH_DUMP_BYTES: '0',
        },
        files: { 'ejabberd.yml': CONFIG(port, folder) },
      }
    })
  },
}

/** A write-ahead log takes one sync for a post, where a rollback journal takes four. */
function makeArchive(path: string): void {
  const database = new Database(path)
  database.exec('PRAGMA journal_mode = wal')
  database.close()
}

/** As ejabberd's own script starts it, but for a name on the network: it is to be no cluster. */
function flags(folder: string, connections: number): string[] {
  const mnesia = ['-mnesia', 'dir', `"${folder}"`]
  const limits = ['+K', 'true', '+P', '1000000', '+Q', String(connections * 2 + 10_000)]
  return [...limits, '-pa', join(findLibrary()!, 'ebin'), ...mnesia, '-s', 'ejabberd']
}

function findLibrary(): string | undefined {
  const folders = existsSync(LIBRARIES) ? readdirSync(LIBRARIES) : []
  for (const folder of folders.filter((name) => name.endsWith('-linux-gnu'))) {
    const name = readdirSync(join(LIBRARIES, folder)).find((one) => /^ejabberd-\d/.test(one))
    if (name !== undefined) return join(LIBRARIES, folder, name)
  }
  return undefined
}

function hasSqlite(): boolean {
  if (!existsSync(ERLANG_LIBRARIES)) return false
  return readdirSync(ERLANG_LIBRARIES).some((name) => name.startsWith('p1_sqlite3-'))
}

const SERVICE = 'conference.localhost'
const OPEN = '<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="localhost" version="1.0"/>'
const AUTH = '<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>'
const BIND = '<iq type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>'
const MUC = '<x xmlns="http://jabber.org/protocol/muc"/>'

/** What a connection is told while it joins, and what it says to that. */
function converse(wire: Wire, stanza: string): void {
  if (stanza.startsWith('<open')) return
  if (stanza.includes('<mechanism>ANONYMOUS<')) wire.send(encodeText(AUTH))
  else if (stanza.startsWith('<success')) wire.send(encodeText(OPEN))
  else if (stanza.startsWith('<stream:features')) wire.send(encodeText(BIND))
  else if (stanza.includes("type='result' id='bind'")) {
    wire.state = wire.rooms.length
    for (const room of wire.rooms) wire.send(encodeText(presence(room, wire.index)))
  } else if (stanza.endsWith('<subject/></message>')) joinedRoom(wire, stanza)
  else if (!stanza.startsWith('<presence') || stanza.includes("type='error'"))
    throw new Error(`A stanza that nobody awaits: ${stanza.slice(0, 500)}`)
}

function presence(room: number, connection: number): string {
  return `<presence to="${roomName(room)}@${SERVICE}/n${connection}">${MUC}</presence>`
}

/** Whoever joins is told the subject last. */
function joinedRoom(wire: Wire, stanza: string): void {
  wire.joinedRoom(Number(/ from='r(\d+)@/.exec(stanza)![1]), 0)
  wire.state = (wire.state as number) - 1
  if (wire.state === 0) wire.joined()
}

const FROM = Buffer.from(" from='r")

export const createDialect: CreateDialect = ({ textBytes }) => {
  const post = new Shape(
    textBytes,
    (room, text) =>
      `<message type="groupchat" to="${room}@${SERVICE}"><body>${text}</body></message>`,
  )
  // Each reader gets a stanza of its own, with its own address in it; all end in the same way.
  const tail = new Shape(textBytes, (_, text) => `<body>${text}</body></message>`)
  return {
    upgrade: () => ({ path: '/ws', headers: { 'Sec-WebSocket-Protocol': 'xmpp' } }),
    opened(wire) {
      wire.send(encodeText(OPEN))
    },
    received(wire, _opcode, bytes, start, end) {
      const tailAt = Math.max(start, end - tail.length)
      if (!tail.fits(bytes, tailAt, end)) return converse(wire, bytes.toString('utf8', start, end))
      const from = bytes.indexOf(FROM, start) + FROM.length
      const n = tail.number(bytes, tailAt)
      wire.delivered(readNumber(bytes, from, ROOM_DIGITS), n, n)
    },
    post: post.frame(OPCODE.text),
  }
}
