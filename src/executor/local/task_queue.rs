//! The queue between the pool's loop and its threads.

use super::pool_event::Task;
use crossbeam_channel::{Receiver, Sender, bounded};

/// Both ends of the queue: the loop sends tasks and can take back those that no thread has begun.
///
/// The loop owns the only sender: the threads run out of work when it is dropped.
pub(crate) struct TaskQueue {
    sender: Sender<Task>,
    receiver: Receiver<Task>,
}

impl TaskQueue {
    pub fn new(capacity: usize) -> Self {
        let (sender, receiver) = bounded(capacity);
        Self { sender, receiver }
    }

    /// The end from which a thread takes its tasks.
    pub fn receiver(&self) -> Receiver<Task> {
        self.receiver.clone()
    }

    /// Queues a task. Never blocks: the capacity is the largest number of active rows.
    pub fn send(&self, task: Task) {
        let _ = self.sender.send(task);
    }

    /// Takes back all tasks that no thread has begun.
    pub fn take_back(&self) -> Vec<Task> {
        self.receiver.try_iter().collect()
    }

    pub fn len(&self) -> usize {
        self.receiver.len()
    }
}
