// Run by set-up in a process of its own: the SDK can only fetch a server by starting it.
import { TestWorkflowEnvironment } from '@temporalio/testing';

const [kind, downloadDir] = process.argv.slice(2);
const server = { executable: { type: 'cached-download', downloadDir, ttl: '3650d' } };
try {
  const started =
    kind === 'test-server'
      ? await TestWorkflowEnvironment.createTimeSkipping({ server })
      : await TestWorkflowEnvironment.createLocal({ server });
  await started.teardown();
  process.exit(0);
} catch (error) {
  console.error(String(error?.message ?? error).split('\n')[0]);
  process.exit(1);
}
