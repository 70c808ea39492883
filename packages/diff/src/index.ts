export {
  type Absence,
  type Applied,
  createDiffer,
  type Differ,
  type DiffOptions,
  type LastSeen,
  type Outcome,
  type Place,
  type Standing,
} from './apply.ts'
export type { Op, SourcePosition } from './eventWriter.ts'
export { diffField, diffRecords, pointerToken } from './fieldDiff.ts'
export { jsonText } from './jsonText.ts'
