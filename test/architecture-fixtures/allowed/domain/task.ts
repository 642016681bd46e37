import { Task } from './schemas/task.ts';
export const task = Task;
