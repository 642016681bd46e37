import { jwtVerify } from 'jose';
export const used = jwtVerify;
