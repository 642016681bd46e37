import { z } from 'zod';
export const Task = z.object({});
