// The proof of work of a room that asks for one: ALTCHA's solver, with its worker as a file of ours, since the
// policy lets no worker be made of a text.
import { solveChallengeWorkers } from "altcha/lib";

const MOST_WORKERS = 4;

// The solution of a challenge as the server takes it; null when this browser can't solve it.
export async function solve(challenge, workerAddress) {
  // Web Cryptography is withheld on plain http addresses.
  if (!globalThis.crypto?.subtle || !globalThis.Worker) return null;
  const solution = await solveChallengeWorkers({
    challenge,
    concurrency: Math.min(MOST_WORKERS, navigator.hardwareConcurrency || 2),
    createWorker: () => new Worker(workerAddress),
  });
  return solution ? btoa(JSON.stringify({ challenge, solution })) : null;
}
