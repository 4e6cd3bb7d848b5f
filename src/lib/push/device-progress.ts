import type { ProgressListener } from '../platform/progress.js';

/**
 * What becomes of one device of several, as one thing that goes on: its services are details of it, and what their builds print there is told
 * apart by its name.
 */
export function deviceProgress(device: string, progress: ProgressListener): ProgressListener {
  return (event) => {
    switch (event.type) {
      case 'step': {
        const { id, detail, state } = event;
        const words = [id, ...(detail === undefined ? [] : [detail])].join(' ');
        // The device is done only when all of it is.
        if (state === 'active') progress({ ...event, id: device, detail: words });
        return;
      }
      case 'line':
        progress({ ...event, id: `${device} ${event.id}` });
        return;
      case 'notice':
        progress({ ...event, text: `${device}: ${event.text}` });
    }
  };
}
