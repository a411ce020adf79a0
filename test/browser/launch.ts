/** Starting Chromium, the same way for tests and for pictures. */
import { type Browser, chromium } from 'playwright-core'

export const LAUNCH_MS_MAX = 60_000

/** What makes it run in a container, and leave the network alone. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** The same wherever and whenever it is: words, times, and nothing that moves. */
export const SETTING = { locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce' } as const

export function launchChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: FLAGS, timeout: LAUNCH_MS_MAX })
}
