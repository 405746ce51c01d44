/** Types of the client of a resource pool. Units: `cpu` is core-percent (100 = one core), memory and storage are MB. */

export interface Resources {
  cpuUsage: number;
  cpuAvailable: number;
  cpuCores: number;
  memoryUsage: number;
  memoryAvailable: number;
  memoryTotal: number;
  storageUsage: number;
  storageAvailable: number;
  storageTotal: number;
  hasGPU: boolean;
  gpuName?: string | null;
  gpuUsage?: number | null;
}

export interface Device {
  id: string;
  name: string;
  platform: string;
  ipAddress: string;
  /** UTC, ISO 8601 */
  lastSeen: string;
  isOnline: boolean;
  resources: Resources;
}

export interface Requirements {
  cpu?: number;
  memory?: number;
  storage?: number;
  gpu?: boolean;
  /** exactly so many devices, each with an equal share */
  devices?: number;
  strategy?: "pack" | "spread";
  labels?: Record<string, string>;
  exclude?: string[];
  allowSelf?: boolean;
}

export interface Share {
  deviceId: string;
  deviceName: string;
  allocatedCpu: number;
  allocatedMemory: number;
  allocatedStorage: number;
  allocatedGpu: boolean;
}

export interface Allocation {
  id: string;
  requestingDevice: string;
  timestamp: string;
  requirements: Requirements;
  fulfilled: boolean;
  allocatedDevices: Share[];
}

export interface Reason {
  code: "INFEASIBLE" | "INSUFFICIENT" | "CONSTRAINT" | "QUOTA";
  message: string;
  devices: number;
  filtered?: Record<string, number>;
  exhausted?: Record<string, number>;
  nearest?: { deviceId: string; deviceName: string; missing: Record<string, number> };
  change?: Record<string, number>;
  queuePosition?: number;
}

export interface AllocationAnswer {
  type: "resource_allocation";
  allocation: Allocation;
  reason?: Reason;
  dryRun?: boolean;
  expiresAt?: string;
  requestId?: string;
}

export interface Task {
  id: string;
  type: string;
  submitterId: string;
  requirements: Requirements;
  data: { command: string; input: unknown };
  priority?: number;
  /** longest run of one attempt, seconds */
  timeout?: number;
  /** longest wait for a device, seconds */
  queueTimeout?: number;
  /** 0 = at most once */
  retries?: number;
}

export interface Progress {
  type: "task_progress";
  taskId: string;
  /** 0 to 1 */
  progress?: number;
  log?: string;
}

/** Any message; what is not named here is as docs/protocol.md describes it. */
export interface Message {
  type: string;
  requestId?: string;
  [field: string]: unknown;
}

export type LinkState =
  | { name: "connecting" }
  | { name: "live"; latencyMs: number | null }
  | { name: "waiting"; untilMs: number; reason: string; code?: number }
  | { name: "closed" };

export interface LinkOptions {
  /** the class, where there is no global one */
  WebSocket?: new (url: string, ...shown: any[]) => unknown;
  /** for pools that ask for one: the token, or what answers it anew for each connection */
  token?: string | (() => string | undefined);
  /** between 0 and 1, like Math.random */
  random?: () => number;
  /** 0: never ask how far away the gateway is */
  pingEveryMs?: number;
}

export declare class PoolError extends Error {
  readonly code: string;
  constructor(text: string, code: string);
}

export declare class TaskFailed extends PoolError {}

/** The WebSocket of a server given as `http://host:3000`, `ws://host/ws` or `host:3000`. */
export declare function webSocketUrl(server: string): string;

/** 128 random bits in hex. */
export declare function newId(): string;

export declare function waitMs(
  ending: { superseded?: boolean; returnAfterMs?: number },
  failures: number,
  chance: number,
): number;

/** A connection that comes back. */
export declare class Link {
  readonly state: LinkState;
  constructor(
    servers: string | string[],
    options: LinkOptions & {
      greet: () => Message;
      onMessages?: (messages: Message[]) => void;
      onState?: (state: LinkState) => void;
      onOnline?: () => void;
    },
  );
  send(...messages: Message[]): boolean;
  retryNow(): void;
  close(): void;
}

/** A task on its way; await it for its result. */
export declare class Submission<R = unknown> implements PromiseLike<R> {
  readonly task: Task;
  readonly state: string;
  readonly deviceId?: string;
  readonly reason?: Reason;
  readonly result: Promise<R>;
  onProgress: (message: Progress) => void;
  cancel(): void;
  then: Promise<R>["then"];
}

export interface PoolOptions extends LinkOptions {
  name?: string;
  platform?: string;
  deviceId?: string;
  /** watch only */
  observe?: boolean;
}

export interface SubmitOptions extends Partial<Omit<Task, "data" | "submitterId">> {
  onProgress?: (message: Progress) => void;
}

export declare class Pool {
  readonly deviceId: string;
  readonly devices: Map<string, Device>;
  readonly ready: Promise<Map<string, Device>>;
  readonly state: LinkState;
  constructor(server: string | string[], options?: PoolOptions);
  on(type: "state", listener: (state: LinkState) => void): () => void;
  on(type: string, listener: (message: Message) => void): () => void;
  report(resources: Resources): void;
  request(requirements: Requirements, options?: { ttl?: number; dryRun?: boolean }): Promise<AllocationAnswer>;
  release(allocation: Allocation | string): void;
  submit<R = unknown>(command: string, input?: unknown, options?: SubmitOptions): Submission<R>;
  close(): void;
}
