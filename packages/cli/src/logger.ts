import { createLogger, type Logger } from '@tidemark/telemetry'
import type { Config } from './config.ts'
import { secretTexts } from './secrets/secretKeys.ts'

/** The logger that a configuration asks for; its lines hold none of the configuration's secrets. */
export const loggerOf = (config: Config): Logger =>
  createLogger({ level: config.log_level, secrets: secretTexts(config) })
