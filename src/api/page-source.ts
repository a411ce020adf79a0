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
