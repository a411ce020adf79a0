/**
 * The mark on a database that a migration is being copied into. It stands in `meta` from before the
 * first row until everything was verified, so that half a server is never taken for a whole one.
 */
export const UNFINISHED = 'migration'

/** Throws a sentence for people if `mark`, the value in `meta`, is there. */
export function refuseUnfinished(mark: string | null | undefined, name: string): void {
  if (typeof mark === 'string')
    throw new Error(
      `${name} holds part of a migration that has not ended. Run the same "parley migrate" again ` +
        'and it goes on from where it was; or begin anew with an empty database.',
    )
}
