/** Pictures with a palette show what the pictures without one showed. */
import { expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { browserTest, useBrowser } from './browser.ts'
import { read, withPalette } from './png.ts'

const IMAGES = join(import.meta.dir, '../../docs/images')
const BYTES_MAX = 60 << 10

const browser = useBrowser()

browserTest(
  'few colours stay as they are, many become near ones, and both get smaller',
  async () => {
    const page = await browser.openPage('about:blank', { width: 300, height: 200 })
    const paint = async (css: string) => {
      await page.evaluate((background) => {
        document.documentElement.style.background = background
      }, css)
      const png = await page.screenshot()
      const smaller = withPalette(png)
      expect(smaller.length).toBeLessThan(png.length)
      return [read(png), read(smaller)] as const
    }
    const stripes =
      'repeating-linear-gradient(45deg, #fff 0 9px, #123456 9px 17px, #abcdef 17px 31px)'
    const [plain, samePlain] = await paint(stripes)
    expect(plain.width * plain.height).toBe(60_000)
    expect(new Set(plain.pixels).size).toBeGreaterThan(2)
    expect(samePlain).toEqual(plain)
    const [many, fewer] = await paint(
      'linear-gradient(90deg, #000, #f80), linear-gradient(#000, #08f)',
    )
    expect(new Set(fewer.pixels).size).toBeLessThanOrEqual(256)
    for (let i = 0; i < many.pixels.length; i += 97)
      expect(Math.abs((many.pixels[i]! >> 16) - (fewer.pixels[i]! >> 16))).toBeLessThan(16)
  },
)

test('the pictures of the documentation are small', () => {
  const names = readdirSync(IMAGES).filter((name) => name.endsWith('.png'))
  expect(names.length).toBeGreaterThanOrEqual(6)
  for (const name of names)
    expect([name, readFileSync(join(IMAGES, name)).length <= BYTES_MAX]).toEqual([name, true])
})
