/**
 * Replies of one turn of the event loop. When a commit ends, hundreds of posts are answered at
 * once, and many of them on the same connection: all that it gets then goes out in one write.
 */
export interface Sender {
  /** Writes what it has gathered. */
  sendGathered(): void
}

export class Outbox {
  #senders: Sender[] = []

  /** Has it send what it gathers until the code that runs now has ended. Once a turn. */
  add(sender: Sender): void {
    if (this.#senders.length === 0) queueMicrotask(this.#send)
    this.#senders.push(sender)
  }

  readonly #send = (): void => {
    const senders = this.#senders
    this.#senders = []
    for (const sender of senders) sender.sendGathered()
  }
}
