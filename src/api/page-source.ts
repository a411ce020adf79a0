/** Where the files of the web page come from. `main.ts` chooses; `page.ts` serves them. */

export interface PageFile {
  /** Where it is served: `/` for the page itself, else below `/assets/` under a hashed name. */
  path: string
  /** For `Content-Type`. */
  type: string
  bytes: Uint8Array<ArrayBuffer>
  gzip: Uint8Array<ArrayBuffer>
  brotli: Uint8Array<ArrayBuffer>
}

export interface PageSource {
  /**
   * All files of the page, a few hundred kilobytes at the most. Asked once, and again only after it
   * has rejected, with an error whose message tells whoever runs the server what to do.
   */
  files(): Promise<readonly PageFile[]>
  /** Ends whatever is under way: `files` rejects. */
  close(): void
}

/** A page as text, to be printed or built in: the bytes are in base64. */
export type PackedPage = { files: Record<keyof PageFile, string>[] } | { error: string }

/** Throws the error that is packed in place of a page. */
export function unpackPage(text: string): PageFile[] {
  const packed = JSON.parse(text) as PackedPage
  if ('error' in packed) throw new Error(packed.error)
  const bytes = (coded: string) => new Uint8Array(Buffer.from(coded, 'base64'))
  return packed.files.map(({ path, type, ...coded }) => ({
    ...{ path, type, bytes: bytes(coded.bytes) },
    ...{ gzip: bytes(coded.gzip), brotli: bytes(coded.brotli) },
  }))
}

/** A page that was built in. */
export function createPackedPage(text: string): PageSource {
  return { files: async () => unpackPage(text), close() {} }
}
