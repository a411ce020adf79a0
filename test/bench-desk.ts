/** Servers that answer posts, pages and sign-ins as they are told to, right or wrong. */
import type { Server, ServerWebSocket } from 'bun'

const AT = '2026-01-01T00:00:00.000Z'

interface Post {
  id: number
  room: string
}

/**
 * Answers the `n`th post, counted from 1, which is the room's `seq`th, with any number of frames;
 * undefined answers rightly.
 */
export type AnswerPost = (n: number, reply: Reply, seq: number) => string[] | undefined
type Reply = (seq: number, id?: number) => string

/** Acknowledges posts to rooms that begin empty. */
export function startPostServer(answer: AnswerPost = () => undefined): Server<unknown> {
  const heads = new Map<string, number>()
  let posts = 0
  return Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request, server) {
      if (server.upgrade(request, { data: undefined })) return undefined
      return new Response(null, { status: 404 })
    },
    websocket: {
      message(socket: ServerWebSocket<unknown>, frame: string | Buffer) {
        const post = JSON.parse(String(frame)) as Post
        const seq = (heads.get(post.room) ?? 0) + 1
        heads.set(post.room, seq)
        posts += 1
        const reply = (given: number, id = post.id) =>
          `{"re":${id},"ok":{"timeline":"${post.room}","seq":${given},"at":"${AT}"}}`
        for (const one of answer(posts, reply, seq) ?? [reply(seq)]) socket.send(one)
      },
    },
  })
}

/** Answers every request with what `answer` makes of its number, counted from 1, and its body. */
export function startWebServer(answer: (n: number, body: string) => Response): Server<unknown> {
  let requests = 0
  return Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      requests += 1
      return answer(requests, await request.text())
    },
  })
}
