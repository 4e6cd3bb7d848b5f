#!/usr/bin/env node
import module from 'node:module';

// Node 22.8 and later keep compiled code between runs; on Node 20 there is nothing to switch on.
module.enableCompileCache?.();

const { execute } = await import('@oclif/core');
await execute({ dir: import.meta.url });
