import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLoop } from './loop.ts'
import { random } from './test-random.ts'

test('timers run in the order of their time, and cancelled ones never', async () => {
  const loop = createLoop()
  const next = random(5)
  const ran: number[] = []
  /** when each is due, at the earliest and at the latest: time passes while they are made */
  const due: { from: number; to: number }[] = []
  const timers = Array.from({ length: 300 }, (_, i) => {
    const delay = next(40)
    const from = performance.now() + delay
    const timer = loop.after(delay, () => ran.push(i))
    due.push({ from, to: performance.now() + delay })
    return timer
  })
  for (const [i, timer] of timers.entries()) if (i % 3 === 0) timer.cancel()
  await loop.run(() => ran.length === 200)
  assert.ok(ran.every((i) => i % 3 !== 0))
  for (const [at, i] of ran.entries()) {
    const later = ran[at + 1]
    if (later !== undefined) assert.ok((due[i]?.from ?? 0) <= (due[later]?.to ?? 0))
  }
})

test('the program that uses the loop goes on meanwhile', async () => {
  const loop = createLoop()
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  let isDone = false
  loop.after(200, () => {
    isDone = true
  })
  // work that would block for a second in all
  for (let i = 0; i < 1000; i++) {
    loop.defer(() => {
      const end = performance.now() + 1
      while (performance.now() < end && !isDone);
    })
  }
  await loop.run(() => isDone)
  clearInterval(timer)
  assert.ok(ticks >= 5, `${ticks} ticks`)
})

test('what a handler throws ends the run', async () => {
  const loop = createLoop()
  loop.after(1, () => {
    throw new Error('from a handler')
  })
  await assert.rejects(
    loop.run(() => false),
    /from a handler/,
  )
})
