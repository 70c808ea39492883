import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A request of the Kafka protocol on its way to a broker. */
export interface ProxiedRequest {
  /** Index of the broker it goes to. */
  readonly broker: number
  readonly apiKey: number
  readonly correlationId: number
}

/**
 * What happens to a request and its connection:
 * - `pass`: nothing.
 * - `before`: the connection is cut; the broker never sees the request.
 * - `after`: the broker has processed it; the connection is cut instead of giving the answer.
 * - `late`: the connection is cut, and the broker sees the request `lateMs` afterwards.
 * - a promise: the request, and all behind it on the connection, wait for it, then it passes.
 */
export type Verdict = 'pass' | 'before' | 'after' | 'late' | Promise<void>

export interface ProxyOptions {
  /** Where each broker takes connections; they may be started later. */
  readonly brokerPorts: readonly number[]
  /** Asked once for each request, in the order of its connection. */
  readonly onRequest: (request: ProxiedRequest) => Verdict
  readonly lateMs?: number
}

export interface Proxy {
  /** Where the proxy takes connections in each broker's place. */
  readonly ports: readonly number[]
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const LATE_MS = 60
/** A broker that answers a late request by then has processed it. */
const LINGER_MS = 2000

/**
 * TCP between Kafka clients and brokers that understands as much of the protocol as cutting takes: frames, and the head of a request (api
 * key, version, correlation id). Brokers have to advertise the proxy's ports to its clients, or these would go past it.
 */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const track = (socket: Socket): Socket => {
    sockets.add(socket.setNoDelay(true))
    // A cut is what this is for: errors of either side only end the pair.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    return socket
  }
  const servers = await Promise.all(
    options.brokerPorts.map((brokerPort, broker) =>
      listen((client) => {
        track(client)
        joinPair(client, track(connect(brokerPort, HOST)), broker, options)
      }),
    ),
  )
  return {
    ports: servers.map((server) => (server.address() as AddressInfo).port),
    async close() {
      for (const socket of sockets) socket.destroy()
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    },
  }
}

function listen(onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(onConnection)
    server.once('error', reject)
    server.listen(0, HOST, () => resolve(server))
  })
}

function joinPair(client: Socket, server: Socket, broker: number, options: ProxyOptions): void {
  /** Correlation ids whose answers must not arrive. */
  const withheld = new Set<number>()
  let isCut = false
  /** Set while a request is held: the ones behind it wait. */
  let held: Promise<void> | undefined
  const cut = (): void => {
    isCut = true
    client.destroy()
    server.destroy()
  }
  const forward = (frame: Buffer): void => void (server.writable && server.write(frame))
  const handle = (frame: Buffer): void => {
    if (isCut) return
    const request = { broker, apiKey: frame.readInt16BE(4), correlationId: frame.readInt32BE(8) }
    const verdict = options.onRequest(request)
    if (verdict === 'before') {
      cut()
    } else if (verdict === 'late') {
      isCut = true
      client.destroy()
      setTimeout(() => forward(frame), options.lateMs ?? LATE_MS)
      setTimeout(() => server.destroy(), LINGER_MS).unref()
    } else if (verdict instanceof Promise) {
      // A client that gave up on its request in the meantime has sent it all the same.
      held = verdict.then(() => forward(frame))
    } else {
      if (verdict === 'after') withheld.add(request.correlationId)
      forward(frame)
    }
  }
  const onRequestFrame = (frame: Buffer): void => {
    if (held) held = held.then(() => handle(frame))
    else handle(frame)
  }
  client.on('data', framer(onRequestFrame))
  server.on(
    'data',
    framer((frame) => {
      if (isCut) return
      if (withheld.has(frame.readInt32BE(4))) cut()
      else if (client.writable) client.write(frame)
    }),
  )
  client.on('close', () => {
    if (isCut) return
    if (held) void held.then(() => server.end())
    else server.end()
  })
  server.on('close', () => client.destroy())
}

/** Puts chunks together to frames: four bytes of length, then that much. */
function framer(onFrame: (frame: Buffer) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = []
  let size = 0
  return (chunk) => {
    chunks.push(chunk)
    size += chunk.length
    for (;;) {
      if (size < 4) return
      const first = chunks[0] as Buffer
      const head = first.length >= 4 ? first : Buffer.concat(chunks)
      const length = 4 + head.readInt32BE(0)
      if (size < length) return
      const all = chunks.length === 1 ? first : Buffer.concat(chunks)
      chunks = all.length > length ? [all.subarray(length)] : []
      size = all.length - length
      onFrame(all.subarray(0, length))
    }
  }
}
