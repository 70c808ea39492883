export { contentDigest } from './content.ts'
export type { ProjectionReader } from './projection.ts'
export { CHECKS, type CheckName, PROBLEMS_MAX, type Problem, type Report } from './report.ts'
export { type VerifyDeps, type VerifyOptions, type VerifyProgress, verify } from './verify.ts'
