import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLoop } from './loop.ts'
import { random } from './test-random.ts'

test('timers run in the order of their time, and cancelled ones never', async () => {
  const loop = createLoop()
  const next = random(5)
  const ran: number[] = []
  const delays = Array.from({ length: 300 }, () => next(40))
  const timers = delays.map((delay) => loop.after(delay, () => ran.push(delay)))
  for (const [i, timer] of timers.entries()) if (i % 3 === 0) timer.cancel()
  const kept = delays.filter((_, i) => i % 3 !== 0)
  await loop.run(() => ran.length === kept.length)
  assert.deepEqual(
    ran,
    [...kept].sort((a, b) => a - b),
  )
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
