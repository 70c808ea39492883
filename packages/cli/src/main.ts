#!/usr/bin/env node
import { runCli } from './program.ts'

/** A socket that somebody forgot must not keep a process that is done. */
const LINGER_MS = 3000

process.exitCode = await runCli(process.argv, { stdout: process.stdout, stderr: process.stderr, env: process.env })
setTimeout(() => process.exit(), LINGER_MS).unref()
