import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median, mib, rate } from './memory.ts'

export interface EmbeddedBench {
  readonly records: number
  readonly rounds: number
}

interface PhaseResult {
  readonly records: number
  readonly perSecond: number
  readonly peak?: number
  readonly outcomes?: Readonly<Record<string, number>>
}

export interface EmbeddedFigures {
  readonly created: PhaseResult
  readonly unchanged: readonly PhaseResult[]
  readonly changed: readonly PhaseResult[]
  readonly floorRead: readonly PhaseResult[]
  readonly floorWrite: readonly PhaseResult[]
}

/**
 * The processor over an embedded log: all created, all unchanged, all changed, each round beside its floor. Every phase is a
 * process of its own on one data directory; opening is excluded, warm-up is not.
 */
export function benchEmbedded({ records, rounds }: EmbeddedBench, print: (line: string) => void): EmbeddedFigures {
  const path = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  let appended = 0
  const phase = (name: string, edit = 0): PhaseResult => {
    if (name === 'generate') appended++
    const args = [join(import.meta.dirname, 'embeddedWorker.ts'), name, path, String(records), String(edit)]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      env: { ...process.env, BENCH_ROUNDS: String(appended) },
      maxBuffer: 1 << 26,
    })
    if (status !== 0) throw new Error(`phase ${name} failed: ${stderr}`)
    return JSON.parse(stdout.trim().split('\n').at(-1) as string) as PhaseResult
  }
  const expect = (result: PhaseResult, outcome: string): PhaseResult => {
    if (result.outcomes?.[outcome] !== records)
      throw new Error(`expected ${records} ${outcome}, got ${JSON.stringify(result.outcomes)}`)
    return result
  }
  try {
    phase('generate')
    const created = expect(phase('process'), 'changed')
    print(`created    ${rate(created.perSecond)}  private memory ${mib(created.peak ?? 0)}`)
    const [unchanged, changed, floorRead, floorWrite]: PhaseResult[][] = [[], [], [], []]
    for (let round = 1; round <= rounds; round++) {
      phase('generate', round - 1)
      unchanged?.push(expect(phase('process'), 'unchanged'))
      floorRead?.push(phase('floor-read'))
      phase('generate', round)
      changed?.push(expect(phase('process'), 'changed'))
      floorWrite?.push(phase('floor-write', round))
      const [u, fr, c, fw] = [unchanged, floorRead, changed, floorWrite].map((list) => list?.at(-1) as PhaseResult) as [
        PhaseResult,
        PhaseResult,
        PhaseResult,
        PhaseResult,
      ]
      print(
        `round ${round}   unchanged ${rate(u.perSecond)} (floor ${rate(fr.perSecond)})  changed ${rate(c.perSecond)} (floor ${rate(fw.perSecond)})`,
      )
    }
    return {
      created,
      unchanged: unchanged ?? [],
      changed: changed ?? [],
      floorRead: floorRead ?? [],
      floorWrite: floorWrite ?? [],
    }
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

/** Medians and their ratios to the floors. */
export function printEmbedded(figures: EmbeddedFigures, print: (line: string) => void): void {
  const of = (list: readonly PhaseResult[]): number => median(list.map((r) => r.perSecond))
  const ratios = (a: readonly PhaseResult[], b: readonly PhaseResult[]): number =>
    median(a.map((r, i) => r.perSecond / (b[i]?.perSecond ?? Number.NaN)))
  const peak = Math.max(...[figures.created, ...figures.unchanged, ...figures.changed].map((r) => r.peak ?? 0))
  print('')
  print(`                      median      floor       ratio`)
  print(
    `unchanged   ${rate(of(figures.unchanged)).padStart(14)} ${rate(of(figures.floorRead)).padStart(12)} ${ratios(figures.unchanged, figures.floorRead).toFixed(2).padStart(8)}   floor: log read + state get + byte compare`,
  )
  print(
    `changed     ${rate(of(figures.changed)).padStart(14)} ${rate(of(figures.floorWrite)).padStart(12)} ${ratios(figures.changed, figures.floorWrite).toFixed(2).padStart(8)}   floor: encode + log append + state put`,
  )
  print(`created     ${rate(figures.created.perSecond).padStart(14)}`)
  print(`private memory of the processor, peak: ${mib(peak)}`)
}
