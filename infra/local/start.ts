import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { brokersOf, type ClusterPlan, type NodePlan, prepareNode, startNode } from './broker.ts'
import { freePorts, type Jvm } from './jvm.ts'
import { type LocalRegistry, startApicurio } from './registry.ts'
import { findJava, resolveKafka } from './resolve.ts'

export interface StartOptions {
  /** Nodes, each broker and controller. Three have replication 3 and min.insync.replicas 2. Default 1. */
  readonly nodes?: 1 | 3
  /** Also starts Apicurio Registry. Default false. */
  readonly registry?: boolean
  /** Port of the first broker, the others follow; 0 takes free ones. Default 0. */
  readonly port?: number
  /** Kept after the stop, and used again. Default: a new folder that is removed. */
  readonly data?: string
  /** Broker configuration on top of the defaults. */
  readonly settings?: Readonly<Record<string, string>>
  /** Broker configuration of one node on top of that: its listeners, for one. */
  readonly nodeSettings?: (node: NodePlan) => Readonly<Record<string, string>>
  readonly log?: (line: string) => void
}

/** A running local Kafka. */
export interface LocalKafka {
  readonly brokers: string[]
  /** Base URL of Apicurio's Confluent-compatible API, when it was asked for. */
  readonly registryUrl: string | undefined
  /** Process ids, for whoever measures memory or CPU. */
  readonly pids: readonly number[]
  /** SIGKILLs a node (0, 1, 2); resolves when it is gone. */
  kill(node: number): Promise<void>
  /** Starts a killed node again on its data and port; resolves when it serves. */
  restart(node: number): Promise<void>
  /** SIGSTOP and SIGCONT. */
  pause(node: number): void
  resume(node: number): void
  /** Ends all processes and removes the data unless its folder was given. Twice does no harm. */
  stop(): Promise<void>
}

const STOP_GRACE_MS = 20_000

/** Starts Apache Kafka (KRaft) from jars of Maven Central; resolves when every node serves. Throws when Java or mvn is missing. */
export async function startKafka(options: StartOptions = {}): Promise<LocalKafka> {
  const log = options.log ?? ((): void => undefined)
  const java = await findJava()
  if (java === undefined)
    throw new Error('Kafka needs Java 17 or newer; none is in JAVA_HOME, on PATH or under /usr/lib/jvm')
  const jars = await resolveKafka(log)
  const folder = options.data === undefined ? mkdtempSync(join(tmpdir(), 'tidemark-kafka-')) : resolve(options.data)
  mkdirSync(folder, { recursive: true })
  const plan: ClusterPlan = {
    nodes: await planNodes(folder, options.nodes ?? 1, options.port ?? 0),
    clusterId: clusterIdOf(folder),
    java,
    jars,
    settings: options.settings ?? {},
    nodeSettings: options.nodeSettings ?? (() => ({})),
  }
  const cluster = new LocalCluster(plan, options.data === undefined ? folder : undefined)
  try {
    await cluster.start()
    if (options.registry) await cluster.startRegistry(join(folder, 'registry'), log)
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

async function planNodes(folder: string, count: number, port: number): Promise<NodePlan[]> {
  const free = await freePorts(count * 2)
  return Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    port: port === 0 ? free[i]! : port + i,
    controllerPort: free[count + i]!,
    folder: join(folder, `node-${i + 1}`),
  }))
}

/** The id the storage was formatted with, or a new one. */
function clusterIdOf(folder: string): string {
  const file = join(folder, 'node-1/log/meta.properties')
  const found = existsSync(file) ? /^cluster\.id=(.+)$/m.exec(readFileSync(file, 'utf8')) : null
  return found?.[1] ?? newClusterId()
}

/** The tool that formats storage takes an id that begins with a dash for an option. */
function newClusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url')
    if (!id.startsWith('-')) return id
  }
}

class LocalCluster implements LocalKafka {
  readonly #plan: ClusterPlan
  /** Removed at the end. */
  readonly #temporary: string | undefined
  readonly #jvms: (Jvm | undefined)[]
  #registry: LocalRegistry | undefined
  #stopping: Promise<void> | undefined

  constructor(plan: ClusterPlan, temporary: string | undefined) {
    this.#plan = plan
    this.#temporary = temporary
    this.#jvms = plan.nodes.map(() => undefined)
  }

  get brokers(): string[] {
    return brokersOf(this.#plan)
  }

  get registryUrl(): string | undefined {
    return this.#registry?.url
  }

  get pids(): number[] {
    return this.#jvms.flatMap((jvm) => (jvm ? [jvm.pid] : []))
  }

  async start(): Promise<void> {
    const started = await Promise.allSettled(
      this.#plan.nodes.map(async (node, i) => {
        await prepareNode(this.#plan, node)
        await this.restart(i)
      }),
    )
    for (const one of started) if (one.status === 'rejected') throw one.reason
  }

  async startRegistry(folder: string, log: (line: string) => void): Promise<void> {
    this.#registry = await startApicurio(folder, 0, log)
  }

  async restart(node: number): Promise<void> {
    this.#jvms[node] = await startNode(this.#plan, this.#plan.nodes[node]!)
  }

  async kill(node: number): Promise<void> {
    await this.#jvms[node]?.stop(0)
  }

  pause(node: number): void {
    this.#jvms[node]?.signal('SIGSTOP')
  }

  resume(node: number): void {
    this.#jvms[node]?.signal('SIGCONT')
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    // Data that is thrown away needs no orderly shutdown.
    const graceMs = this.#temporary === undefined ? STOP_GRACE_MS : 0
    await Promise.all([...this.#jvms.map((jvm) => jvm?.stop(graceMs)), this.#registry?.jvm.stop(0)])
    if (this.#temporary !== undefined) rmSync(this.#temporary, { recursive: true, force: true })
  }
}
